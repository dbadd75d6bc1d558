//! A program that answers HTTP requests, and which host its guests get.
//!
//! A component that imports no more than HTTP itself is served by the lean host, all others by the engine's own; the linker
//! is asked, so that there is no list to keep. A command is asked as CGI. Start at [`Application::new`].

use crate::admission::Admission;
use crate::arriving::{Arriving, Content, Pace};
use crate::body::Answer;
use crate::cgi::{Between, Cgi, Start};
use crate::exchange::Exchange;
use crate::files::Files;
use crate::full::Full;
use crate::lean::{self, Direct, Lean};
pub use crate::lean::{Alone, Imported};
use crate::neighbour::Neighbour;
use crate::observe::record::Peak;
use crate::observe::spans::{Spanning, Trace};
use crate::pool::{Pool, Used};
use crate::running::{Call, note_slice};
use crate::sandboxes::{again, refuel};
use crate::settings::{ApplicationSettings, Reuse};
use crate::tasks::Tasks;
use crate::turns::Line;
use http::Response;
use http::request::Parts;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::component::{ComponentExportIndex, InstancePre, Resource, TypedFunc};
use wasmtime::{Engine, Store, UpdateDeadline};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::limits::{Limits, in_bytes, typed_size};
use wherry_engine::meter::Shares;
use wherry_engine::policy::Policy;
use wherry_engine::program::{Code, Program};
use wherry_engine::restored::{Counts, Images};

/// What a component exports that answers requests, in any patch version of WASI 0.2, and of 0.3.
const HANDLER: &str = "wasi:http/incoming-handler@0.2.";
/// See [`HANDLER`].
const TASK_HANDLER: &str = "wasi:http/handler@0.3.";

/// Bytes of a page of memory, as modules count them.
const PAGE: u64 = 64 << 10;

/// A program that answers requests.
pub struct Application {
    host: Host,
    /// What is looked for before a guest is made.
    files: Option<Files>,
    /// What the memories of its guests are put back to, where the program was prepared.
    images: Option<Images>,
    /// Why it was not.
    plain: Option<String>,
    limits: Limits,
    settings: ApplicationSettings,
    /// Who is let in, of the requests for it.
    pub(crate) admission: Admission,
    /// Whose turns its guests take.
    pub(crate) line: Line,
}

/// What makes guests of it.
enum Host {
    Lean(Prepared),
    Direct(Arc<Direct>),
    Full(Box<Full>),
    Tasks(Box<Tasks>),
    Cgi(Box<Cgi>),
    Neighbour(Neighbour),
    /// There are none: it is files alone.
    Nothing,
}

/// A component that is linked with the lean host.
struct Prepared {
    engine: Engine,
    pre: InstancePre<Lean>,
    handle: ComponentExportIndex,
    shares: Shares,
    pool: Arc<Pool<Instance>>,
}

/// A sandbox with the component in it.
struct Instance {
    store: Store<Lean>,
    handle: TypedFunc<(Resource<lean::IncomingRequest>, Resource<lean::ResponseOutparam>), ()>,
    /// Notes what it used, when it goes.
    _peak: Peak,
}

impl Application {
    /// An application whose guests are granted `policy`, and may use `limits`; a command is started as `start` says.
    ///
    /// Where the lean host has all that it imports, and it is made of one module that can be taken out of it, its guests are that
    /// module `alone`; nobody looks for it otherwise, as that takes the whole file.
    /// With the digest of a `package` its files are those of that, which never change.
    ///
    /// # Errors
    /// [`Kind::NoExport`] for a program that answers no requests, [`Kind::Link`] when it imports what nothing provides,
    /// [`Kind::Usage`] when the folder of its files cannot be opened.
    pub fn new(
        program: Program,
        alone: impl FnOnce(&Program) -> Option<Alone>,
        policy: Policy,
        limits: Limits,
        settings: ApplicationSettings,
        start: Start,
        package: Option<&str>,
    ) -> Result<Self> {
        let (images, plain) = (program.images().cloned(), program.plain().map(str::to_owned));
        let (reuse, line) = (settings.reuse(), Line::new());
        let handler = handler(&program);
        check(reuse, handler.as_ref().ok(), &program.name)?;
        check_memory(&program, &limits)?;
        let host = match handler {
            Ok(Handler::Task) => Host::Tasks(Box::new(Tasks::new(program, policy, &limits, reuse, line)?)),
            Ok(Handler::Call(handle)) => match prepare(&program, handle, &limits, reuse.most) {
                Some(prepared) => {
                    let alone = if reuse.most == 1 { alone(&program) } else { None };
                    match alone.and_then(|alone| Direct::new(&alone, &limits)) {
                        Some(direct) => Host::Direct(Arc::new(direct)),
                        None => Host::Lean(prepared),
                    }
                }
                None => Host::Full(Box::new(Full::new(program, policy, &limits, reuse.most)?)),
            },
            Err(no_handler) => match Cgi::new(program, policy, &limits, start) {
                // It is no command either, and that is not what was wanted of it.
                Err(error) if error.kind() == Kind::NoExport => return Err(no_handler),
                cgi => Host::Cgi(Box::new(cgi?)),
            },
        };
        let (images, plain) = match &host {
            Host::Direct(direct) => (Some(direct.images().clone()), None),
            _ => (images, plain),
        };
        let made = Self::with(host, limits, settings, package)?;
        Ok(Self {
            images,
            plain,
            line,
            ..made
        })
    }

    /// An application without a program, of the files that the settings name.
    ///
    /// # Errors
    /// [`Kind::Usage`] when their folder cannot be opened.
    pub fn of_files(limits: Limits, settings: ApplicationSettings) -> Result<Self> {
        Self::with(Host::Nothing, limits, settings, None)
    }

    /// An application of the process itself, without a sandbox, which listens at a path of the file system.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the folder of its files cannot be opened.
    pub fn of_neighbour(path: PathBuf, limits: Limits, settings: ApplicationSettings) -> Result<Self> {
        Self::with(Host::Neighbour(Neighbour::new(path)), limits, settings, None)
    }

    fn with(
        host: Host,
        limits: Limits,
        settings: ApplicationSettings,
        package: Option<&str>,
    ) -> Result<Self> {
        let files = settings.r#static.as_deref().map(|folder| {
            Files::open(folder, package).map_err(|error| {
                let message = format!("the files of `{}` cannot be served: {error}", folder.display());
                Error::new(Kind::Usage, message).with_hint("`static` names a folder that is there")
            })
        });
        Ok(Self {
            host,
            files: files.transpose()?,
            images: None,
            plain: None,
            line: Line::new(),
            limits,
            admission: Admission::new(settings.concurrency, settings.queue, settings.wait),
            settings,
        })
    }

    /// Whether its guests get the lean host.
    #[must_use]
    pub fn is_lean(&self) -> bool {
        matches!(self.host, Host::Lean(_) | Host::Direct(_))
    }

    /// Whether its guests are one module, without what makes it a component.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(self.host, Host::Direct(_))
    }

    /// What its guests may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &ApplicationSettings {
        &self.settings
    }

    /// How many requests wait for a place.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.admission.waiting()
    }

    /// The answer to a request that no guest is needed for, where `prefix` of its path is the route's.
    pub(crate) async fn file(&self, parts: &Parts, prefix: &str) -> Option<Response<Answer>> {
        let files = self.files.as_ref()?;
        let path = parts.uri.path().get(prefix.len()..).unwrap_or_default();
        match files.answer(parts, path).await {
            None if matches!(self.host, Host::Nothing) => Some(files.otherwise(parts).await),
            found => found,
        }
    }

    /// A guest for a request, which came `between` these two; nothing of it runs before it is polled.
    pub(crate) fn call(
        self: &Arc<Self>,
        parts: Parts,
        incoming: Content,
        between: Between,
        pace: Pace,
        exchange: &Arc<Exchange>,
    ) -> Call {
        let arriving = Arriving::new(incoming, self.settings.max_request, pace, Arc::clone(exchange));
        let exchange = Arc::clone(exchange);
        if let Host::Direct(direct) = &self.host {
            return direct.answer(self, parts, arriving, exchange);
        }
        let this = Arc::clone(self);
        let call = async move {
            match &this.host {
                Host::Lean(prepared) => prepared.answer(&this.limits, parts, arriving, exchange).await,
                // Apart, so that what a lean guest runs in is no larger than it has to be.
                Host::Full(full) => Box::pin(full.answer(&this.limits, parts, arriving, exchange)).await,
                Host::Tasks(tasks) => Box::pin(tasks.answer(&this.limits, parts, arriving, exchange)).await,
                Host::Cgi(cgi) => {
                    Box::pin(cgi.answer(&this.limits, parts, &between, arriving, exchange)).await
                }
                Host::Neighbour(neighbour) => {
                    Box::pin(neighbour.answer(parts, &between, arriving, exchange)).await
                }
                Host::Direct(_) | Host::Nothing => Ok(()),
            }
        };
        match &self.images {
            Some(images) => Box::pin(images.drive(call)),
            None => Box::pin(call),
        }
    }

    /// What was counted of its guests' memories, where these are put back to what they were.
    #[must_use]
    pub fn restored(&self) -> Option<Counts> {
        self.images.as_ref().map(Images::counts)
    }

    /// Why they are not.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        self.plain.as_deref()
    }

    /// Gives back what its guests have not needed for long; to be called now and then.
    pub fn tidy(&self) {
        if let Some(images) = &self.images {
            images.tidy();
        }
    }
}

impl Prepared {
    /// Answers one request, with a guest of its own unless instances are used again.
    async fn answer(
        &self,
        limits: &Limits,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> wasmtime::Result<()> {
        let answered = Arc::clone(&exchange);
        let seen = answered.seen();
        let (mut used, request, outparam) = match self.pool.take() {
            Some(mut used) => {
                let store = &mut used.instance.store;
                again(store, limits)?;
                let (request, outparam) = store.data_mut().again(parts, arriving, exchange);
                (used, request, outparam)
            }
            None => self.instance(limits, parts, arriving, exchange).await?,
        };
        let Instance { store, handle, .. } = &mut used.instance;
        let arguments = (Resource::new_own(request), Resource::new_own(outparam));
        let running = seen.trace().map(Trace::guest);
        let result = handle.call_async(&mut *store, arguments).await;
        Spanning::over(running, &result);
        if let Err(error) = result {
            answered.note_memory(&store.data().meter);
            return Err(error);
        }
        if self.pool.wants(&used) && used.instance.store.data_mut().rest() {
            self.pool.put(used);
        }
        Ok(())
    }

    /// A new instance, with the handles of its first request and of the answer to that.
    async fn instance(
        &self,
        limits: &Limits,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> wasmtime::Result<(Used<Instance>, u32, u32)> {
        let making = exchange.seen().trace().map(Trace::instance);
        let account = Arc::clone(exchange.seen().account());
        let (lean, request, outparam) = Lean::new(limits, &self.shares, parts, arriving, exchange);
        let peak = Peak::new(lean.meter.watched(), account);
        let mut store = Store::new(&self.engine, lean);
        store.limiter(|lean| &mut lean.meter);
        refuel(&mut store, limits)?;
        store.set_hostcall_fuel(self.shares.call);
        store.set_max_component_handles(self.shares.components);
        in_slices(&mut store);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let handle = instance.get_typed_func(&mut store, self.handle)?;
        drop(making);
        let instance = Instance {
            store,
            handle,
            _peak: peak,
        };
        Ok((Used::new(instance), request, outparam))
    }
}

/// Has a guest give way at each tick of the engine's clock: to the other connections of its thread, and to who watches its time.
pub(crate) fn in_slices<T>(store: &mut Store<T>) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| {
        note_slice();
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
}

/// What answers requests.
enum Handler {
    /// A function, which is called with the request: WASI 0.2.
    Call(ComponentExportIndex),
    /// A function that is a task for each request: WASI 0.3.
    Task,
}

/// Refuses what was chosen of instances and can have no effect: nobody should believe that it has.
fn check(reuse: Reuse, handler: Option<&Handler>, name: &str) -> Result<()> {
    let wrong = match handler {
        None if reuse.most > 1 => (
            format!("`{name}` is a command, which ends with its request"),
            "leave out `reuse`",
        ),
        _ if reuse.at_once > reuse.most => (
            format!(
                "one instance of `{name}` cannot answer {} requests at once, and {} in all",
                reuse.at_once, reuse.most
            ),
            "`reuse` says how many it answers in all",
        ),
        Some(Handler::Call(_)) if reuse.at_once > 1 => (
            format!("`{name}` is a handler of WASI 0.2, of which one instance answers one request at a time"),
            "leave out the concurrency of instances; `reuse` alone has them answer one after the other",
        ),
        _ => return Ok(()),
    };
    Err(Error::new(Kind::Usage, wrong.0).with_hint(wrong.1))
}

/// Refuses a limit that no guest could even begin under: it is better known before the first request than at each.
fn check_memory(program: &Program, limits: &Limits) -> Result<()> {
    let needed = match &program.code {
        Code::Component(component) => component.resources_required(),
        Code::Module(module) => Some(module.resources_required()),
    };
    let pages = needed
        .and_then(|needed| needed.max_initial_memory_size)
        .unwrap_or(0);
    let least = pages.saturating_mul(PAGE);
    if least <= limits.memory {
        return Ok(());
    }
    let message = format!(
        "`{}` begins with {} of memory, and may have {}",
        program.name,
        in_bytes(least),
        in_bytes(limits.memory)
    );
    let hint = format!(
        "give it more: `--memory {}`",
        typed_size(least.next_multiple_of(16 << 20))
    );
    Err(Error::new(Kind::Usage, message).with_hint(hint))
}

fn handler(program: &Program) -> Result<Handler> {
    let hint =
        "an application exports the interface `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`";
    let Code::Component(component) = &program.code else {
        let message = format!(
            "`{}` is a core module, which answers no HTTP requests",
            program.name
        );
        return Err(Error::new(Kind::NoExport, message).with_hint(hint));
    };
    let ty = component.component_type();
    let mut exports = ty.exports(&program.engine);
    let found = exports.find_map(|(name, _)| {
        if name.starts_with(TASK_HANDLER) {
            return Some(Handler::Task);
        }
        let interface = name
            .starts_with(HANDLER)
            .then(|| component.get_export_index(None, name))??;
        let handle = component.get_export_index(Some(&interface), "handle")?;
        Some(Handler::Call(handle))
    });
    found.ok_or_else(|| {
        let message = format!("`{}` answers no HTTP requests", program.name);
        Error::new(Kind::NoExport, message).with_hint(hint)
    })
}

/// The program with the lean host, unless it imports more than that has.
fn prepare(program: &Program, handle: ComponentExportIndex, limits: &Limits, reuse: u32) -> Option<Prepared> {
    let Code::Component(component) = &program.code else {
        return None;
    };
    if program.key.concurrency {
        return None;
    }
    let pre = lean::linker(&program.engine)
        .and_then(|linker| linker.instantiate_pre(component))
        .ok()?;
    Some(Prepared {
        engine: program.engine.clone(),
        pre,
        handle,
        shares: Shares::of(limits),
        pool: Pool::new(reuse),
    })
}
