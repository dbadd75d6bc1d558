//! Puts files of other crates into this one, of which there is no copy to keep up then: the module that generated Go
//! stands on, which `wit-bindgen-go` has and the proxy of Go has not, and the interfaces of `wasi:http`, which are the
//! host's own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    let metadata = metadata();
    let http = source(&metadata, "wasmtime-wasi-http").join("wit/deps/http.wit");
    println!("cargo::rustc-env=WASI_HTTP={}", http.display());
    let module = source(&metadata, "wit-bindgen-go").join("src").join("pkg");
    let mut found = Vec::new();
    collect(&module, &mut found);
    found.sort();
    let mut files = String::new();
    for path in &found {
        let name = path
            .strip_prefix(&module)
            .expect("a file of the module")
            .display();
        writeln!(
            files,
            "    ({:?}, include_str!({:?})),",
            name.to_string(),
            path.display().to_string()
        )
        .expect("a text is written");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("go_module.rs");
    fs::write(out, format!("&[\n{files}]\n")).expect("a file is written");
}

/// What cargo knows of the workspace.
fn metadata() -> serde_json::Value {
    let cargo = env::var_os("CARGO").expect("cargo sets it");
    let manifest =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("Cargo.toml");
    let done = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--manifest-path"])
        .arg(manifest)
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&done.stdout);
    serde_json::from_str(&text).expect("cargo writes JSON")
}

/// Where cargo has the source of a crate that the workspace uses.
fn source(metadata: &serde_json::Value, name: &str) -> PathBuf {
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == name)
        .expect("a dependency");
    Path::new(package["manifest_path"].as_str().expect("a path"))
        .parent()
        .expect("a folder")
        .to_owned()
}

/// The sources below a folder, with the licence.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the crate") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path
            .extension()
            .is_some_and(|found| found == "go" || found == "s" || found == "mod")
            || path.ends_with("LICENSE")
        {
            found.push(path);
        }
    }
}
