//! `wasi:sockets` 0.3: the same as in `sockets`, in front of functions that may run beside each other.

use super::lookup::Unresolved;
use super::quota::Transfer;
use super::tap::{Toll, mapped, tap};
use super::{Network, named};
use crate::guest::Guest;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmtime::component::{
    Access, Accessor, FutureReader, Linker, LinkerInstance, Resource, ResourceType, StreamReader,
};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::ErrorCode as LookupError;
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode, HostTcpSocket, HostTcpSocketWithStore as Tcp, HostUdpSocket, HostUdpSocketWithStore as Udp,
    IpAddress, IpAddressFamily, IpSocketAddress,
};
use wasmtime_wasi::p3::sockets::SocketResult;
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket, WasiSockets, WasiSocketsView as _};

type Answer<T> = (Result<T, ErrorCode>,);
type Done = Result<(), ErrorCode>;

/// Puts the wrappers in front of what is linked.
///
/// # Errors
/// Those of the linker.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:sockets/types@0.3.0")?;
    add_tcp(&mut types)?;
    add_udp(&mut types)?;
    let mut lookup = linker.instance("wasi:sockets/ip-name-lookup@0.3.0")?;
    lookup.func_wrap_concurrent(
        "resolve-addresses",
        |store: &Accessor<Guest>, (name,): (String,)| {
            Box::pin(async move { Ok((look_up(store, &name).await,)) })
        },
    )
}

async fn look_up(store: &Accessor<Guest>, name: &str) -> Result<Vec<IpAddress>, LookupError> {
    let network = store.with(|mut store| Arc::clone(&store.get().network));
    let code = |error| match error {
        Unresolved::Denied => LookupError::AccessDenied,
        Unresolved::Invalid => LookupError::InvalidArgument,
        Unresolved::Unknown => LookupError::NameUnresolvable,
        Unresolved::Unanswered => LookupError::TemporaryResolverFailure,
    };
    let question = network.question(name).map_err(code)?;
    let addresses = network.answer(question).await.map_err(code)?;
    Ok(addresses.into_iter().map(IpAddress::from).collect())
}

fn add_tcp_bind(instance: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    instance.func_wrap_async(
        "[method]tcp-socket.bind",
        |mut store: StoreContextMut<'_, Guest>, (socket, address): (Resource<TcpSocket>, IpSocketAddress)| {
            Box::new(async move {
                let guest = store.data_mut();
                let bound = HostTcpSocket::bind(&mut guest.sockets(), socket, address).await;
                answer(failing(&guest.network, "listen", address.into(), bound))
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
            guest.ctx().table.delete(Resource::<TcpSocket>::new_own(rep))?;
            Ok(())
        },
    )?;
    instance.func_wrap_concurrent(
        "[method]tcp-socket.connect",
        |store: &Accessor<Guest>, (socket, address): (Resource<TcpSocket>, IpSocketAddress)| {
            Box::pin(async move { answer(connect(store, socket, address).await) })
        },
    )?;
    instance.func_wrap_async(
        "[method]tcp-socket.listen",
        |mut store: StoreContextMut<'_, Guest>, (socket,): (Resource<TcpSocket>,)| {
            Box::new(async move {
                let access = Access::<_, WasiSockets>::new(store.as_context_mut(), Guest::sockets);
                let accepted = <WasiSockets as Tcp<Guest>>::listen(access, socket).await;
                answer(match accepted {
                    Ok(accepted) => Ok(tap(store, accepted, Doorkeeper)?),
                    Err(error) => Err(error),
                })
            })
        },
    )?;
    instance.func_wrap(
        "[method]tcp-socket.send",
        |mut store: StoreContextMut<'_, Guest>, (socket, data): (Resource<TcpSocket>, StreamReader<u8>)| {
            let counter = Counter::of(store.data(), "send");
            let struck = Arc::clone(&counter.struck);
            let data = tap(store.as_context_mut(), data, counter)?;
            let done = <WasiSockets as Tcp<Guest>>::send(
                Access::<_, WasiSockets>::new(store.as_context_mut(), Guest::sockets),
                socket,
                data,
            )?;
            Ok((unless_struck(store, done, struck)?,))
        },
    )?;
    instance.func_wrap(
        "[method]tcp-socket.receive",
        |mut store: StoreContextMut<'_, Guest>, (socket,): (Resource<TcpSocket>,)| {
            let counter = Counter::of(store.data(), "receive");
            let struck = Arc::clone(&counter.struck);
            let access = Access::<_, WasiSockets>::new(store.as_context_mut(), Guest::sockets);
            let (data, done) = <WasiSockets as Tcp<Guest>>::receive(access, socket)?;
            let data = tap(store.as_context_mut(), data, counter)?;
            Ok(((data, unless_struck(store, done, struck)?),))
        },
    )
}

/// Connects within the time for it.
async fn connect(
    store: &Accessor<Guest>,
    socket: Resource<TcpSocket>,
    address: IpSocketAddress,
) -> SocketResult<()> {
    let (rep, to) = (socket.rep(), SocketAddr::from(address));
    let (slot, timeout) = store.with(|mut store| {
        let network = &store.get().network;
        (network.slot("connect"), network.connect_timeout)
    });
    let slot = slot.ok_or_else(too_many)?;
    let sockets = store.with_getter::<WasiSockets>(Guest::sockets);
    let connected = tokio::time::timeout(
        timeout,
        <WasiSockets as Tcp<Guest>>::connect(&sockets, socket, address),
    )
    .await;
    let connected = connected.unwrap_or_else(|_| {
        store.with(|mut store| store.get().network.late("connect-timeout", timeout));
        Err(ErrorCode::Timeout.into())
    });
    let network = store.with(|mut store| Arc::clone(&store.get().network));
    failing(&network, "connect", to, connected)?;
    store.with(|mut store| store.get().connections.insert(rep, slot));
    Ok(())
}

/// Notes what did not come about with an address.
fn failing<T>(
    network: &Network,
    operation: &'static str,
    address: SocketAddr,
    result: SocketResult<T>,
) -> SocketResult<T> {
    if let Err(error) = &result
        && let Some(code) = error.downcast_ref()
    {
        let code: &ErrorCode = code;
        network.unreached(operation, address, &named(code));
    }
    result
}

fn add_udp(instance: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    instance.resource(
        "udp-socket",
        ResourceType::host::<UdpSocket>(),
        |mut store, rep| {
            let guest: &mut Guest = store.data_mut();
            guest.connections.remove(rep);
            guest.ctx().table.delete(Resource::<UdpSocket>::new_own(rep))?;
            Ok(())
        },
    )?;
    instance.func_wrap_async(
        "[method]udp-socket.bind",
        |mut store: StoreContextMut<'_, Guest>, (socket, address): (Resource<UdpSocket>, IpSocketAddress)| {
            Box::new(async move {
                let guest = store.data_mut();
                let bound = HostUdpSocket::bind(&mut guest.sockets(), socket, address).await;
                answer(failing(&guest.network, "listen", address.into(), bound))
            })
        },
    )?;
    instance.func_wrap_async(
        "[static]udp-socket.create",
        |mut store: StoreContextMut<'_, Guest>, (family,): (IpAddressFamily,)| {
            Box::new(async move { answer(create_udp(store.data_mut(), family).await) })
        },
    )?;
    instance.func_wrap_concurrent(
        "[method]udp-socket.send",
        |store: &Accessor<Guest>,
         (socket, data, address): (Resource<UdpSocket>, Vec<u8>, Option<IpSocketAddress>)| {
            Box::pin(async move { answer(send(store, socket, data, address).await) })
        },
    )?;
    instance.func_wrap_concurrent(
        "[method]udp-socket.receive",
        |store: &Accessor<Guest>, (socket,): (Resource<UdpSocket>,)| {
            Box::pin(async move { answer(receive(store, socket).await) })
        },
    )
}

async fn create_udp(guest: &mut Guest, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
    let slot = guest.network.slot("open").ok_or_else(too_many)?;
    let socket = HostUdpSocket::create(&mut guest.sockets(), family).await?;
    guest.connections.insert(socket.rep(), slot);
    Ok(socket)
}

async fn send(
    store: &Accessor<Guest>,
    socket: Resource<UdpSocket>,
    data: Vec<u8>,
    address: Option<IpSocketAddress>,
) -> SocketResult<()> {
    let transfer = store.with(|mut store| Arc::clone(&store.get().network.transfer));
    let length = data.len();
    fits(&transfer, length, "send")?;
    let sockets = store.with_getter::<WasiSockets>(Guest::sockets);
    let sent = <WasiSockets as Udp<Guest>>::send(&sockets, socket, data, address).await;
    if sent.is_err() {
        transfer.give_back(length);
    }
    sent
}

async fn receive(
    store: &Accessor<Guest>,
    socket: Resource<UdpSocket>,
) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
    let sockets = store.with_getter::<WasiSockets>(Guest::sockets);
    let (data, address) = <WasiSockets as Udp<Guest>>::receive(&sockets, socket).await?;
    let transfer = store.with(|mut store| Arc::clone(&store.get().network.transfer));
    fits(&transfer, data.len(), "receive")?;
    Ok((data, address))
}

fn fits(transfer: &Transfer, length: usize, operation: &'static str) -> SocketResult<()> {
    if transfer.fitting(std::iter::once(length)) == 1 {
        return Ok(());
    }
    transfer.strike(operation);
    Err(ErrorCode::AccessDenied.into())
}

/// Counts bytes as they pass, and ends the stream where the limit strikes.
struct Counter {
    transfer: Arc<Transfer>,
    operation: &'static str,
    struck: Arc<AtomicBool>,
}

impl Counter {
    fn of(guest: &Guest, operation: &'static str) -> Self {
        Self {
            transfer: Arc::clone(&guest.network.transfer),
            operation,
            struck: Arc::default(),
        }
    }
}

impl Toll<u8> for Counter {
    fn pass(&mut self, _guest: &mut Guest, items: &mut Vec<u8>) -> wasmtime::Result<bool> {
        let length = items.len();
        let room = self.transfer.moves(length, |room| (room, room));
        items.truncate(room);
        if room < length {
            self.struck.store(true, Ordering::Release);
            self.transfer.strike(self.operation);
        }
        Ok(room == length)
    }
}

/// Counts connections as they are accepted; one for which there is no room is closed.
struct Doorkeeper;

impl Toll<Resource<TcpSocket>> for Doorkeeper {
    fn pass(&mut self, guest: &mut Guest, items: &mut Vec<Resource<TcpSocket>>) -> wasmtime::Result<bool> {
        for socket in std::mem::take(items) {
            if let Some(slot) = guest.network.slot("accept") {
                guest.connections.insert(socket.rep(), slot);
                items.push(socket);
            } else {
                guest.ctx().table.delete(socket)?;
            }
        }
        Ok(true)
    }

    fn most(&self) -> usize {
        1
    }
}

/// What came of a transfer: where the limit struck, that.
fn unless_struck(
    store: StoreContextMut<'_, Guest>,
    done: FutureReader<Done>,
    struck: Arc<AtomicBool>,
) -> wasmtime::Result<FutureReader<Done>> {
    mapped(store, done, Ok(()), move |done| {
        if struck.load(Ordering::Acquire) {
            Err(ErrorCode::AccessDenied)
        } else {
            done
        }
    })
}

fn too_many() -> ErrorCode {
    ErrorCode::Other(Some("too many connections at once".to_owned()))
}

/// What the guest is answered; a trap stays one.
fn answer<T>(result: SocketResult<T>) -> wasmtime::Result<Answer<T>> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}
