//! `wasi:sockets` 0.2: what is put in front of the functions that `wasmtime-wasi` has no hook for.
//!
//! Addresses are checked by its own hook, see [`Network::allows`]. Here names are looked up, connections and bytes counted.
//! Each function is wrapped alone and calls the one that it stands in front of.

use super::lookup::Unresolved;
use super::quota::{NoRoom, Slot};
use super::streams::{Received, Sent};
use crate::guest::Guest;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::time::Instant;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Network,
};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::{
    HostIncomingDatagramStream as _, HostOutgoingDatagramStream as _, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, Pollable, SocketError, SocketResult, TcpSocket, UdpSocket,
    subscribe,
};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi::sockets::WasiSocketsView as _;
use wasmtime_wasi::{WasiView as _, async_trait};

type Answer<T> = (Result<T, ErrorCode>,);

/// The version that `wasmtime-wasi` registers; older ones are answered by it.
const VERSION: &str = "0.2.12";

/// Puts the wrappers in front of what is linked.
///
/// # Errors
/// Those of the linker.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    add_tcp(&mut linker.instance(&format!("wasi:sockets/tcp@{VERSION}"))?)?;
    add_udp(&mut linker.instance(&format!("wasi:sockets/udp@{VERSION}"))?)?;
    let mut create = linker.instance(&format!("wasi:sockets/udp-create-socket@{VERSION}"))?;
    create.func_wrap_async("create-udp-socket", |mut store, (family,): (IpAddressFamily,)| {
        Box::new(async move { answer(create_udp(store.data_mut(), family).await) })
    })?;
    add_lookup(&mut linker.instance(&format!("wasi:sockets/ip-name-lookup@{VERSION}"))?)
}

fn add_tcp_bind(instance: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    instance.func_wrap_async(
        "[method]tcp-socket.start-bind",
        |mut store: StoreContextMut<'_, Guest>,
         (socket, network, address): (Resource<TcpSocket>, Resource<Network>, IpSocketAddress)| {
            Box::new(async move {
                let guest = store.data_mut();
                let bound = HostTcpSocket::start_bind(&mut guest.sockets(), socket, network, address).await;
                answer(failing(guest, "listen", address.into(), bound))
            })
        },
    )
}

fn add_tcp(instance: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    add_tcp_bind(instance)?;
    instance.resource(
        "tcp-socket",
        ResourceType::host::<TcpSocket>(),
        |mut store, rep| {
            let guest: &mut Guest = store.data_mut();
            guest.connections.remove(rep);
            HostTcpSocket::drop(&mut guest.sockets(), Resource::new_own(rep))
        },
    )?;
    instance.func_wrap(
        "[method]tcp-socket.start-connect",
        |mut store: StoreContextMut<'_, Guest>,
         (socket, network, address): (Resource<TcpSocket>, Resource<Network>, IpSocketAddress)| {
            let (rep, to) = (socket.rep(), SocketAddr::from(address));
            let slot = slot(store.data(), "connect");
            let done = slot.and_then(|slot| {
                let started = store.data_mut().sockets().start_connect(socket, network, address);
                failing(store.data(), "connect", to, started)?;
                Ok(slot)
            });
            answer(done.map(|slot| {
                let guest = store.data_mut();
                let until = Instant::now() + guest.network.connect_timeout;
                guest.connections.insert(rep, slot);
                guest.connections.dials(rep, until, to);
            }))
        },
    )?;
    instance.func_wrap(
        "[method]tcp-socket.finish-connect",
        |mut store: StoreContextMut<'_, Guest>, (socket,): (Resource<TcpSocket>,)| {
            answer(finish_connect(store.data_mut(), socket)?)
        },
    )?;
    instance.func_wrap(
        "[method]tcp-socket.subscribe",
        |mut store: StoreContextMut<'_, Guest>, (socket,): (Resource<TcpSocket>,)| {
            let rep = socket.rep();
            let guest = store.data_mut();
            let pollable = HostTcpSocket::subscribe(&mut guest.sockets(), socket)?;
            guest.connections.waits(pollable.rep(), rep);
            Ok((pollable,))
        },
    )?;
    instance.func_wrap(
        "[method]tcp-socket.accept",
        |mut store: StoreContextMut<'_, Guest>, (socket,): (Resource<TcpSocket>,)| {
            answer(accept(store.data_mut(), socket))
        },
    )
}

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

/// Finishes a connection, unless it goes on or is late.
fn finish_connect(guest: &mut Guest, socket: Resource<TcpSocket>) -> wasmtime::Result<SocketResult<Streams>> {
    let rep = socket.rep();
    let code = match guest.sockets().finish_connect(socket) {
        Ok(streams) => {
            guest.connections.stands(rep);
            return Ok(counted(guest, &streams.0, &streams.1).map(|()| streams));
        }
        Err(error) => error.downcast()?,
    };
    match code {
        ErrorCode::WouldBlock if guest.connections.late(rep) => {
            guest
                .network
                .late("connect-timeout", guest.network.connect_timeout);
            Ok(Err(ErrorCode::Timeout.into()))
        }
        ErrorCode::WouldBlock | ErrorCode::NotInProgress => Ok(Err(code.into())),
        code => {
            let to = guest.connections.leads_to(rep);
            guest.connections.remove(rep);
            let failed = Err(code.into());
            Ok(match to {
                Some(to) => failing(guest, "connect", to, failed),
                None => failed,
            })
        }
    }
}

/// Notes what did not come about with an address.
fn failing<T>(
    guest: &Guest,
    operation: &'static str,
    address: SocketAddr,
    result: SocketResult<T>,
) -> SocketResult<T> {
    if let Err(error) = &result
        && let Some(code) = error.downcast_ref()
    {
        guest.network.unreached(operation, address, code.name());
    }
    result
}

type Accepted = (
    Resource<TcpSocket>,
    Resource<DynInputStream>,
    Resource<DynOutputStream>,
);

/// Accepts a connection; one for which there is no room is closed.
fn accept(guest: &mut Guest, listener: Resource<TcpSocket>) -> SocketResult<Accepted> {
    let (socket, input, output) = guest.sockets().accept(listener)?;
    match slot(guest, "accept") {
        Ok(slot) => {
            guest.connections.insert(socket.rep(), slot);
            counted(guest, &input, &output)?;
            Ok((socket, input, output))
        }
        Err(error) => {
            let table = guest.ctx().table;
            table.delete(input)?;
            table.delete(output)?;
            table.delete(socket)?;
            Err(error)
        }
    }
}

/// Puts counters in front of the streams of a connection.
fn counted(
    guest: &mut Guest,
    input: &Resource<DynInputStream>,
    output: &Resource<DynOutputStream>,
) -> SocketResult<()> {
    let transfer = Arc::clone(&guest.network.transfer);
    let table = guest.ctx().table;
    let place = table.get_mut(input)?;
    let inner = std::mem::replace(place, Box::new(wasmtime_wasi::p2::pipe::ClosedInputStream));
    *place = Box::new(Received {
        inner,
        transfer: Arc::clone(&transfer),
    });
    let place = table.get_mut(output)?;
    let inner = std::mem::replace(place, Box::new(wasmtime_wasi::p2::pipe::ClosedOutputStream));
    *place = Box::new(Sent { inner, transfer });
    Ok(())
}

fn add_udp(instance: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    instance.resource(
        "udp-socket",
        ResourceType::host::<UdpSocket>(),
        |mut store, rep| {
            let guest: &mut Guest = store.data_mut();
            guest.connections.remove(rep);
            HostUdpSocket::drop(&mut guest.sockets(), Resource::new_own(rep))
        },
    )?;
    instance.func_wrap_async(
        "[method]udp-socket.start-bind",
        |mut store: StoreContextMut<'_, Guest>,
         (socket, network, address): (Resource<UdpSocket>, Resource<Network>, IpSocketAddress)| {
            Box::new(async move {
                let guest = store.data_mut();
                let bound = HostUdpSocket::start_bind(&mut guest.sockets(), socket, network, address).await;
                answer(failing(guest, "listen", address.into(), bound))
            })
        },
    )?;
    instance.func_wrap(
        "[method]incoming-datagram-stream.receive",
        |mut store: StoreContextMut<'_, Guest>, (stream, most): (Resource<IncomingDatagramStream>, u64)| {
            answer(receive(store.data_mut(), stream, most))
        },
    )?;
    instance.func_wrap(
        "[method]outgoing-datagram-stream.send",
        |mut store: StoreContextMut<'_, Guest>,
         (stream, datagrams): (Resource<OutgoingDatagramStream>, Vec<OutgoingDatagram>)| {
            answer(send(store.data_mut(), stream, datagrams))
        },
    )
}

async fn create_udp(guest: &mut Guest, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
    let slot = slot(guest, "open")?;
    let socket = guest.sockets().create_udp_socket(family).await?;
    guest.connections.insert(socket.rep(), slot);
    Ok(socket)
}

/// Receives datagrams as long as they fit; one that does not is lost, as datagrams may be.
fn receive(
    guest: &mut Guest,
    stream: Resource<IncomingDatagramStream>,
    most: u64,
) -> SocketResult<Vec<IncomingDatagram>> {
    let mut datagrams = guest.sockets().receive(stream, most)?;
    let lengths = datagrams.iter().map(|datagram| datagram.data.len());
    let fitting = guest.network.transfer.fitting(lengths);
    if fitting < datagrams.len() {
        guest.network.transfer.strike("receive");
        datagrams.truncate(fitting);
        if fitting == 0 {
            return Err(NoRoom::io().into());
        }
    }
    Ok(datagrams)
}

/// Sends datagrams as long as they fit.
fn send(
    guest: &mut Guest,
    stream: Resource<OutgoingDatagramStream>,
    mut datagrams: Vec<OutgoingDatagram>,
) -> SocketResult<u64> {
    let transfer = Arc::clone(&guest.network.transfer);
    let lengths: Vec<usize> = datagrams.iter().map(|datagram| datagram.data.len()).collect();
    let fitting = transfer.fitting(lengths.iter().copied());
    if fitting < datagrams.len() {
        transfer.strike("send");
        datagrams.truncate(fitting);
        if fitting == 0 {
            return Err(NoRoom::io().into());
        }
    }
    let sent = guest.sockets().send(stream, datagrams);
    let count = sent
        .as_ref()
        .map_or(0, |count| usize::try_from(*count).unwrap_or(usize::MAX));
    transfer.give_back(lengths[..fitting].iter().skip(count).sum());
    sent
}

/// A lookup that goes on, or what came of it.
enum Lookup {
    Asked(AbortOnDropJoinHandle<Result<Vec<IpAddr>, Unresolved>>),
    Answered(Result<std::vec::IntoIter<IpAddr>, Unresolved>),
}

#[async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if let Self::Asked(question) = self {
            let answer = question.await;
            *self = Self::Answered(answer.map(Vec::into_iter));
        }
    }
}

fn add_lookup(instance: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    instance.resource(
        "resolve-address-stream",
        ResourceType::host::<Lookup>(),
        |mut store, rep| {
            let guest: &mut Guest = store.data_mut();
            guest.ctx().table.delete(Resource::<Lookup>::new_own(rep))?;
            Ok(())
        },
    )?;
    instance.func_wrap(
        "resolve-addresses",
        |mut store: StoreContextMut<'_, Guest>, (network, name): (Resource<Network>, String)| {
            answer(look_up(store.data_mut(), &network, &name))
        },
    )?;
    instance.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: StoreContextMut<'_, Guest>, (lookup,): (Resource<Lookup>,)| {
            answer(next_address(store.data_mut(), &lookup))
        },
    )?;
    instance.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store: StoreContextMut<'_, Guest>,
         (lookup,): (Resource<Lookup>,)|
         -> wasmtime::Result<(Resource<DynPollable>,)> {
            Ok((subscribe(store.data_mut().ctx().table, lookup)?,))
        },
    )
}

fn look_up(guest: &mut Guest, network: &Resource<Network>, name: &str) -> SocketResult<Resource<Lookup>> {
    guest.ctx().table.get(network)?;
    let network = Arc::clone(&guest.network);
    let question = network.question(name).map_err(code)?;
    let asked = spawn(async move { network.answer(question).await });
    Ok(guest.ctx().table.push(Lookup::Asked(asked))?)
}

fn next_address(guest: &mut Guest, lookup: &Resource<Lookup>) -> SocketResult<Option<IpAddress>> {
    let lookup = guest.ctx().table.get_mut(lookup)?;
    let mut ready = lookup.ready();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let waits = ready.as_mut().poll(&mut context).is_pending();
    drop(ready);
    match lookup {
        Lookup::Answered(Ok(addresses)) if !waits => Ok(addresses.next().map(IpAddress::from)),
        Lookup::Answered(Err(error)) if !waits => Err(code(*error)),
        _ => Err(ErrorCode::WouldBlock.into()),
    }
}

fn code(error: Unresolved) -> SocketError {
    match error {
        Unresolved::Denied => ErrorCode::AccessDenied,
        Unresolved::Invalid => ErrorCode::InvalidArgument,
        Unresolved::Unknown => ErrorCode::NameUnresolvable,
        Unresolved::Unanswered => ErrorCode::TemporaryResolverFailure,
    }
    .into()
}

fn slot(guest: &Guest, operation: &'static str) -> SocketResult<Slot> {
    guest
        .network
        .slot(operation)
        .ok_or_else(|| ErrorCode::NewSocketLimit.into())
}

/// What the guest is answered; a trap stays one.
fn answer<T>(result: SocketResult<T>) -> wasmtime::Result<Answer<T>> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}
