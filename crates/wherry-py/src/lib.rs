//! The compiled module `wherry._native`: the engine for Python.
//!
//! Private: people see `wherry` and `wherry.runtime`. Everything that compiles, runs or waits goes through `door`; every
//! error of the engine becomes a class of `wherry.errors` in `errors`; values cross in `port`.

mod cache;
mod calling;
mod classes;
mod component;
mod configuration;
mod disk;
mod door;
mod errors;
mod function;
mod home;
mod inspect;
mod instance;
mod limits;
mod loading;
mod making;
mod names;
mod policy;
mod port;
mod record;
mod resource;
mod run_command;
mod server;
mod settings;
mod stdio;
mod streams;
mod typed;
mod verify_run;

use pyo3::prelude::*;

/// The compiled core of Wherry.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::cache::{
        cache_clear, cache_ls, cache_path, cache_prune, cache_verify, modes, precompile_file, targets,
    };
    #[pymodule_export]
    use crate::component::Component;
    #[pymodule_export]
    use crate::disk::sync_disk;
    #[pymodule_export]
    use crate::door::left_behind;
    #[pymodule_export]
    use crate::errors::error_kinds;
    #[pymodule_export]
    use crate::function::Function;
    #[pymodule_export]
    use crate::inspect::{binary_form, explain_policy, inspect, policy_beyond, wit_model, wit_text};
    #[pymodule_export]
    use crate::instance::Instance;
    #[pymodule_export]
    use crate::limits::Limits;
    #[pymodule_export]
    use crate::loading::compile_worker;
    #[pymodule_export]
    use crate::making::{
        componentize, fuse, generate_bindings, go_module, prepare, settle, wasi_interfaces, with_docs,
        without_other_exports, world_name,
    };
    #[pymodule_export]
    use crate::policy::Policy;
    #[pymodule_export]
    use crate::record::{Record, make_record};
    #[pymodule_export]
    use crate::resource::Resource;
    #[pymodule_export]
    use crate::run_command::run_command;
    #[pymodule_export]
    use crate::server::{Application, Server};
    #[pymodule_export]
    use crate::settings::{
        Flag, Setting, about, debug_wanted, end_on_closed_pipe, explain_settings, flags, is_witness,
        parse_duration, parse_size, run_file_index, run_has_flag, run_noted, setting, settings_files,
        store_folder,
    };
    #[pymodule_export]
    use crate::stdio::Streams;
    #[pymodule_export]
    use crate::streams::{Reading, Stream, Wake};
    #[pymodule_export]
    use crate::verify_run::verify_run;
}
