//! `wasi:http/types` for a guest that is a module by itself.

use super::{
    Called, Fields, FutureTrailers, Given, IncomingBody, IncomingRequest, IoError, Named, OutgoingBody,
    OutgoingResponse, Place, ResponseOutparam, Scheme, answer, bodies, both, copied, fields, handle, host,
    listed, messages, method, option, put, room,
};
use wasmtime::{Result, bail};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme as HttpScheme};

/// What a list costs the host for each element, besides what is in it.
const ELEMENT: usize = size_of::<Vec<u8>>();

impl Place<'_> {
    pub(super) fn fields(&mut self, item: &str) -> Result<()> {
        match item {
            "[constructor]fields" => self.sync(|mut caller: Called<'_>| -> Result<u32> {
                Ok(handle(&fields::new(host(&mut caller)?)?))
            }),
            "[static]fields.from-list" => {
                self.sync(|mut caller: Called<'_>, at: u32, count: u32, to: u32| {
                    let (memory, lean) = both(&mut caller)?;
                    let mut given = Given::new(memory, lean.direct.most);
                    let mut entries = Vec::new();
                    for entry in given.list::<16>(at, count, 2 * ELEMENT)? {
                        let [name, name_length, value, value_length] = words(entry);
                        let name = given.string(name, name_length)?.to_owned();
                        entries.push((name, given.bytes(value, value_length)?.to_vec()));
                    }
                    put(memory, to, fields::from_list(lean, (entries,))?)
                })
            }
            "[method]fields.get" => self.values(),
            "[method]fields.entries" => self.entries(),
            "[method]fields.has" => self.sync(
                |mut caller: Called<'_>, this: u32, name: u32, name_length: u32| -> Result<u32> {
                    let (memory, lean) = both(&mut caller)?;
                    let this = lean.handle::<Fields>(this)?;
                    let name = Given::new(memory, lean.direct.most).string(name, name_length)?;
                    fields::has(lean, (this, name.to_owned())).map(u32::from)
                },
            ),
            "[method]fields.clone" => self.makes(fields::clone),
            "[method]fields.delete" => self.sync(
                |mut caller: Called<'_>, this: u32, name: u32, name_length: u32, to: u32| {
                    let (memory, lean) = both(&mut caller)?;
                    let this = lean.handle::<Fields>(this)?;
                    let name = Given::new(memory, lean.direct.most).string(name, name_length)?;
                    put(memory, to, fields::delete(lean, (this, name.to_owned()))?)
                },
            ),
            "[method]fields.set" => self.sets(),
            "[method]fields.append" => self.appends(),
            _ => bail!("no function of the lean host"),
        }
    }

    fn sets(&mut self) -> Result<()> {
        self.sync(
            |mut caller: Called<'_>, this: u32, name: u32, name_length: u32, at: u32, count: u32, to: u32| {
                let (memory, lean) = both(&mut caller)?;
                let this = lean.handle::<Fields>(this)?;
                let mut given = Given::new(memory, lean.direct.most);
                let name = given.string(name, name_length)?.to_owned();
                let mut values = Vec::new();
                for value in given.list::<8>(at, count, ELEMENT)? {
                    let [value, value_length] = words(value);
                    values.push(given.bytes(value, value_length)?.to_vec());
                }
                put(memory, to, fields::set(lean, (this, name, values))?)
            },
        )
    }

    fn appends(&mut self) -> Result<()> {
        self.sync(
            |mut caller: Called<'_>, this: u32, name: u32, name_length: u32, at: u32, count: u32, to: u32| {
                let (memory, lean) = both(&mut caller)?;
                let this = lean.handle::<Fields>(this)?;
                let mut given = Given::new(memory, lean.direct.most);
                let name = given.string(name, name_length)?.to_owned();
                let value = given.bytes(at, count)?.to_vec();
                put(memory, to, fields::append(lean, (this, name, value))?)
            },
        )
    }

    fn values(&mut self) -> Result<()> {
        self.waits(
            |mut caller: Called<'_>, (this, name, name_length, to): (u32, u32, u32, u32)| {
                Box::new(async move {
                    let (memory, lean) = both(&mut caller)?;
                    let this = lean.handle::<Fields>(this)?;
                    let name = Given::new(memory, lean.direct.most).string(name, name_length)?;
                    let values = fields::get(lean, (this, name.to_owned()))?;
                    let at = room(&mut caller, 4, values.len() * 8).await?;
                    let mut list = Vec::with_capacity(values.len());
                    for value in values {
                        list.push(copied(&mut caller, &value).await?);
                    }
                    listed(&mut caller, to, at, list)
                })
            },
        )
    }

    fn entries(&mut self) -> Result<()> {
        self.waits(|mut caller: Called<'_>, (this, to): (u32, u32)| {
            Box::new(async move {
                let lean = host(&mut caller)?;
                let this = lean.handle::<Fields>(this)?;
                let entries = fields::entries(lean, (this,))?;
                let at = room(&mut caller, 4, entries.len() * 16).await?;
                let mut list = Vec::with_capacity(entries.len());
                for (name, value) in entries {
                    let name = copied(&mut caller, name.as_bytes()).await?;
                    list.push((name, copied(&mut caller, &value).await?));
                }
                listed(&mut caller, to, at, list)
            })
        })
    }

    pub(super) fn requests(&mut self, item: &str) -> Result<()> {
        match item {
            "[method]incoming-request.method" => self.method(),
            "[method]incoming-request.path-with-query" => self.tells(messages::path_with_query),
            "[method]incoming-request.authority" => self.tells(messages::authority),
            "[method]incoming-request.scheme" => self.sync(|mut caller: Called<'_>, this: u32, to: u32| {
                let (memory, lean) = both(&mut caller)?;
                let this = lean.handle::<IncomingRequest>(this)?;
                let secure = matches!(messages::scheme(lean, (this,))?, Some(HttpScheme::Https));
                put(memory, to, Scheme { secure })
            }),
            "[method]incoming-request.headers" => self.makes(messages::request_headers),
            "[method]incoming-request.consume" => self.makes_once(messages::consume),
            _ => bail!("no function of the lean host"),
        }
    }

    fn method(&mut self) -> Result<()> {
        self.waits(|mut caller: Called<'_>, (this, to): (u32, u32)| {
            Box::new(async move {
                let lean = host(&mut caller)?;
                let this = lean.handle::<IncomingRequest>(this)?;
                let (case, name) = method(messages::method(lean, (this,))?);
                let name = super::optional(&mut caller, name).await?;
                answer(&mut caller, to, Named { case, name })
            })
        })
    }

    pub(super) fn responses(&mut self, item: &str) -> Result<()> {
        match item {
            "[constructor]outgoing-response" => self.makes(messages::new),
            "[method]outgoing-response.status-code" => {
                self.sync(|mut caller: Called<'_>, this: u32| -> Result<u32> {
                    let lean = host(&mut caller)?;
                    let this = lean.handle::<OutgoingResponse>(this)?;
                    messages::status_code(lean, (this,)).map(u32::from)
                })
            }
            "[method]outgoing-response.set-status-code" => {
                self.sync(|mut caller: Called<'_>, this: u32, status: u32| -> Result<u32> {
                    let lean = host(&mut caller)?;
                    let this = lean.handle::<OutgoingResponse>(this)?;
                    let [low, high, ..] = status.to_le_bytes();
                    let set = messages::set_status_code(lean, (this, u16::from_le_bytes([low, high])))?;
                    Ok(set.is_err().into())
                })
            }
            "[method]outgoing-response.headers" => self.makes(messages::response_headers),
            "[method]outgoing-response.body" => self.makes_once(messages::body),
            "[static]response-outparam.set" => self.answers(),
            _ => bail!("no function of the lean host"),
        }
    }

    /// Its second parameter is an answer or an error code, whose parts share their places.
    fn answers(&mut self) -> Result<()> {
        self.sync(
            |mut caller: Called<'_>,
             this: u32,
             case: u32,
             first: u32,
             second: u32,
             third: u64,
             fourth: u32,
             fifth: u32,
             sixth: u32,
             seventh: u32| {
                let (memory, lean) = both(&mut caller)?;
                let this = lean.handle::<ResponseOutparam>(this)?;
                let answer = match case {
                    0 => Ok(lean.handle::<OutgoingResponse>(first)?),
                    1 => {
                        let mut given = Given::new(memory, lean.direct.most);
                        given.error_code(first, second, third, [fourth, fifth, sixth, seventh])?;
                        // Which one it is nobody is told.
                        Err(ErrorCode::InternalError(None))
                    }
                    _ => bail!("invalid expected discriminant"),
                };
                messages::set(lean, (this, answer))
            },
        )
    }

    pub(super) fn bodies(&mut self, item: &str) -> Result<()> {
        match item {
            "[method]incoming-body.stream" => self.makes_once(bodies::stream),
            "[static]incoming-body.finish" => {
                self.makes::<IncomingBody, FutureTrailers>(bodies::finish_incoming)
            }
            "[method]future-trailers.subscribe" => self.makes(bodies::subscribe),
            "[method]future-trailers.get" => self.sync(|mut caller: Called<'_>, this: u32, to: u32| {
                let (memory, lean) = both(&mut caller)?;
                let this = lean.handle::<FutureTrailers>(this)?;
                put(memory, to, bodies::trailers(lean, (this,))?)
            }),
            "[method]outgoing-body.write" => self.makes_once(bodies::write),
            "[static]outgoing-body.finish" => self.sync(
                |mut caller: Called<'_>, this: u32, some: u32, trailers: u32, to: u32| {
                    let (memory, lean) = both(&mut caller)?;
                    let this = lean.handle::<OutgoingBody>(this)?;
                    let trailers = option(some)?
                        .then(|| lean.handle::<Fields>(trailers))
                        .transpose()?;
                    put(memory, to, bodies::finish(lean, (this, trailers))?)
                },
            ),
            "http-error-code" => self.sync(|mut caller: Called<'_>, this: u32, to: u32| {
                let (memory, lean) = both(&mut caller)?;
                let this = lean.handle::<IoError>(this)?;
                put(memory, to, messages::http_error_code(lean, (this,))?)
            }),
            _ => bail!("no function of the lean host"),
        }
    }
}

/// Numbers of 32 bits out of an element of a list.
fn words<const SIZE: usize, const COUNT: usize>(element: &[u8; SIZE]) -> [u32; COUNT] {
    std::array::from_fn(|number| {
        let word = element.as_chunks::<4>().0.get(number);
        word.map_or(0, |word| u32::from_le_bytes(*word))
    })
}
