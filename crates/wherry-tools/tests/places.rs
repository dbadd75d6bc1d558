//! Which places a file fits, by what it imports and exports.

use wherry_tools::inspect::{Inspection, inspect};

const RUN: &str = r#"
  (type $run (instance (export "run" (func (result (result))))))
  (import "acme:host/run" (instance $i (type $run)))"#;

fn described(text: &str) -> Inspection {
    inspect(&wat::parse_str(text).expect("the text of a component or module")).expect("an inspection")
}

/// The places that fit, in the order of the table.
fn fitting(inspection: &Inspection) -> Vec<&str> {
    inspection
        .places
        .iter()
        .filter(|place| place.fits)
        .map(|place| place.name)
        .collect()
}

fn why<'a>(inspection: &'a Inspection, name: &str) -> &'a str {
    inspection
        .places
        .iter()
        .find(|place| place.name == name)
        .map_or("", |place| place.why.as_str())
}

/// A component that exports `exports`, each with the function `f`, out of a nested one; imports come first.
fn component(imports: &str, exports: &[&str]) -> String {
    let lines: Vec<String> = exports
        .iter()
        .map(|name| format!(r#"(export "{name}" (instance $i))"#))
        .collect();
    let lines = lines.join(
        "
",
    );
    format!(
        r#"(component {imports}
          (core module $m (func (export "f")))
          (core instance $c (instantiate $m))
          (func $f (canon lift (core func $c "f")))
          (instance $i (export "f" (func $f)))
          {lines})"#
    )
}

const SOCKETS: &str = r#"(import "wasi:sockets/tcp@0.2.6" (instance (export "f" (func))))"#;
const HOST: &str = r#"(import "acme:tools/log" (instance (export "f" (func))))"#;
const CLOCK: &str = r#"(import "wasi:clocks/wall-clock@0.2.6" (instance (export "f" (func))))"#;
const TYPES_ONLY: &str = r#"(import "acme:tools/types" (instance (export "t" (type (eq 0)))))"#;
const LEDGER: &str = r#"(import "wherry:ledger/state@0.1.0" (instance (export "f" (func))))"#;

#[test]
fn each_place_has_what_fits_it() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "",
            &["acme:tools/sums"],
            &["library", "browser", "step", "contract"],
        ),
        ("", &["wasi:cli/run@0.2.6"], &["command", "browser", "step"]),
        ("", &["wasi:cli/run@0.3.0"], &["command", "browser", "step"]),
        (SOCKETS, &["wasi:cli/run@0.2.6"], &["command"]),
        (SOCKETS, &["acme:tools/sums"], &["library"]),
        (CLOCK, &["wasi:http/incoming-handler@0.2.6"], &["http", "browser"]),
        (
            CLOCK,
            &["wasi:http/handler@0.3.0", "acme:tools/sums"],
            &["library", "http", "browser", "step"],
        ),
        (HOST, &["acme:tools/sums"], &["library"]),
        (HOST, &["wasi:cli/run@0.2.6"], &[]),
        (LEDGER, &["acme:tools/sums"], &["library", "contract"]),
        ("", &[], &[]),
    ];
    for (imports, exports, places) in cases {
        let inspection = described(&component(imports, exports));
        assert_eq!(
            fitting(&inspection),
            *places,
            "{imports} {exports:?}: {:#?}",
            inspection.places
        );
    }
}

#[test]
fn a_reason_names_what_stands_in_the_way() {
    let inspection = described(&component(HOST, &["wasi:cli/run@0.2.6"]));
    assert_eq!(
        why(&inspection, "command"),
        "it needs host functions: `acme:tools/log`"
    );
    let inspection = described(&component(SOCKETS, &["acme:tools/sums"]));
    assert_eq!(
        why(&inspection, "browser"),
        "a page cannot open sockets, and it imports `wasi:sockets/tcp@0.2.6`"
    );
}

#[test]
fn an_import_of_types_alone_is_no_need() {
    let imports = format!(
        "(type (list u8)) {}",
        TYPES_ONLY.replace("(eq 0)", "(eq $l)").replace(
            "(instance (export",
            "(instance (alias outer 1 0 (type $l)) (export"
        )
    );
    let inspection = described(&component(&imports, &["acme:tools/sums"]));
    assert!(inspection.needs.is_empty(), "{:?}", inspection.needs);
    assert!(fitting(&inspection).contains(&"contract"));
}

#[test]
fn modules_are_commands_reactors_or_libraries() {
    let program =
        described(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (func (export "_start")))"#);
    assert_eq!(
        (program.kind, program.wasi.as_slice()),
        (Some("command"), ["0.1"].as_slice())
    );
    assert_eq!(fitting(&program), ["command", "browser", "step"]);
    assert_eq!(program.needs[0].id, "output");

    let both = described(r#"(module (func (export "_start")) (func (export "render") (param i32)))"#);
    assert_eq!(fitting(&both), ["command", "library", "browser", "step"]);

    let reactor = described(r#"(module (func (export "_initialize")) (func (export "add") (param i32)))"#);
    assert_eq!(reactor.kind, Some("reactor"));
    assert_eq!(fitting(&reactor), ["library", "browser", "step"]);

    let host = described(r#"(module (import "env" "f" (func)) (func (export "add")))"#);
    assert_eq!(
        (host.kind, host.needs[0].imports.as_slice()),
        (Some("library"), ["env.f".to_owned()].as_slice())
    );
    assert_eq!(fitting(&host), ["library"]);
}

#[test]
fn an_import_under_the_name_of_an_export_is_told_apart() {
    let inspection = described(&format!(
        r#"(component {RUN} (export "wasi:cli/run@0.2.0" (instance $i)))"#
    ));
    assert_eq!(inspection.kind, Some("command"));
    assert_eq!(inspection.exports.len(), 1);
}

#[test]
fn sizes_add_up_to_the_file() {
    let bytes = wat::parse_str(component("", &["acme:tools/sums"])).expect("text");
    let inspection = inspect(&bytes).expect("an inspection");
    let total: u64 = inspection.sections.iter().map(|section| section.size).sum();
    assert_eq!(total, bytes.len() as u64);
    assert_eq!(inspection.parts.len(), 2);
    assert_eq!(inspection.parts[1].functions, 1);
}
