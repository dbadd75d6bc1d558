//! The model of components and modules that are written here as text.

use wherry_tools::model::{
    CoreType, Definition, FunctionKind, Item, Model, Primitive, Type, TypeKind, World,
};
use wherry_tools::{Error, inspect, signature, wit};

/// A component that exports an interface with most types of WIT and imports one with a resource.
const SHAPES: &str = r#"
(component
  (import "acme:shapes/canvas@1.2.0" (instance
    (export "surface" (type (sub resource)))
    (type $borrow (borrow 0))
    (type $own (own 0))
    (export "[constructor]surface" (func (param "width" u32) (result $own)))
    (export "[method]surface.area" (func (param "self" $borrow) (result u64)))
    (export "[static]surface.merge" (func (param "a" $own) (param "b" $own) (result $own)))))
  (type $interface (instance
    (type $point-shape (record (field "x" f64) (field "y-axis" f64)))
    (export "point" (type $point (eq $point-shape)))
    (type $shape-shape (variant (case "dot" $point) (case "line" (tuple $point $point)) (case "none")))
    (export "shape" (type $shape (eq $shape-shape)))
    (type $colour-shape (enum "red" "green"))
    (export "colour" (type $colour (eq $colour-shape)))
    (type $edges-shape (flags "top" "left"))
    (export "edges" (type $edges (eq $edges-shape)))
    (type $bytes (list u8))
    (type $maybe (option $colour))
    (type $outcome (result $bytes (error string)))
    (export "draw" (func (param "shape" $shape) (param "colour" $maybe) (param "edges" $edges) (result $outcome)))))
  (import "acme:shapes/draw" (instance $draw (type $interface)))
  (export "acme:shapes/again" (instance $draw)))
"#;

fn world(text: &str) -> World {
    let bytes = wat::parse_str(text).expect("the text of a component");
    match wit::model(&bytes).expect("a model") {
        Model::Component(world) => world,
        other => panic!("expected a component, found {other:?}"),
    }
}

fn signatures(world: &World, items: &[Item]) -> Vec<String> {
    wherry_tools::model::functions(items)
        .map(|(_, function)| signature::function(world, function))
        .collect()
}

#[test]
fn names_of_records_variants_and_resources_are_there() {
    let world = world(SHAPES);
    let draw = world
        .exported_function(Some("acme:shapes/again"), "draw")
        .expect("the export");
    let Some(Definition::Defined(shape)) = world.definition(draw.params[0].ty) else {
        panic!("a defined type")
    };
    assert_eq!(shape.name.as_deref(), Some("shape"));
    let TypeKind::Variant { cases } = &shape.kind else {
        panic!("a variant")
    };
    let Some(Definition::Defined(point)) = world.definition(cases[0].payload.expect("a payload")) else {
        panic!("a defined type")
    };
    assert_eq!(point.name.as_deref(), Some("point"));
    let TypeKind::Record { fields } = &point.kind else {
        panic!("a record")
    };
    assert_eq!(fields[1].name, "y-axis");
    assert_eq!(fields[1].ty, Type::Primitive(Primitive::F64));

    let area = world
        .imported_function(Some("acme:shapes/canvas@1.2.0"), "[method]surface.area")
        .expect("the import");
    assert_eq!((area.kind, area.item.as_str()), (FunctionKind::Method, "area"));
    assert_eq!(
        area.resource.and_then(|index| world.name_of(index)),
        Some("surface")
    );
}

#[test]
fn signatures_read_like_wit() {
    let world = world(SHAPES);
    assert_eq!(
        signatures(&world, &world.imports)[..3],
        [
            "surface.constructor(width: u32)",
            "surface.area: func() -> u64",
            "surface.merge: static func(a: surface, b: surface) -> surface",
        ]
    );
    assert_eq!(
        signatures(&world, &world.exports),
        ["draw: func(shape: shape, colour: option<colour>, edges: edges) -> result<list<u8>, string>"]
    );
}

#[test]
fn the_interface_prints_as_wit() {
    let once = SHAPES.replace(r#"(export "acme:shapes/again" (instance $draw))"#, "");
    let text = wit::text(&wat::parse_str(once).expect("the text of a component")).expect("WIT");
    assert!(text.contains("import acme:shapes/canvas@1.2.0;"), "{text}");
    assert!(text.contains("area: func() -> u64;"), "{text}");
}

#[test]
fn a_module_has_functions_of_numbers() {
    let text = r#"(module
        (import "env" "log" (func (param i32)))
        (memory (export "memory") 1 4)
        (func (export "add") (param i32 i64) (result f64) f64.const 0))"#;
    let Ok(Model::Module(core)) = wit::model(&wat::parse_str(text).expect("the text of a module")) else {
        panic!("a module")
    };
    assert_eq!(
        (core.imports[0].module.as_str(), core.imports[0].name.as_str()),
        ("env", "log")
    );
    let words: Vec<String> = core
        .exports
        .iter()
        .map(|export| signature::core(&export.ty))
        .collect();
    assert_eq!(words, ["memory of 1 to 4 pages", "func(i32, i64) -> f64"]);
    assert!(matches!(core.exports[1].ty, CoreType::Function { .. }));
}

#[test]
fn every_truncation_is_a_typed_error() {
    let bytes = wat::parse_str(SHAPES).expect("the text of a component");
    for end in 0..bytes.len() {
        let cut = &bytes[..end];
        // Cut between two sections, a file may be whole by accident.
        match (wit::model(cut), inspect::inspect(cut)) {
            (Err(Error::Invalid(_)), Err(Error::Invalid(_))) | (Ok(_), Ok(_)) => {}
            (model, inspection) => panic!("cut at {end}: {model:?}, {inspection:?}"),
        }
    }
}

#[test]
fn every_changed_byte_is_read_or_refused() {
    let bytes = wat::parse_str(SHAPES).expect("the text of a component");
    for place in 8..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[place] ^= change;
            let _ = wit::model(&changed);
            let _ = inspect::inspect(&changed);
            let _ = wit::text(&changed);
        }
    }
}

#[test]
fn a_type_that_doubles_level_upon_level_is_refused_and_not_printed() {
    let mut lines = vec!["(component (type $t0 (tuple u8 u8))".to_owned()];
    lines.extend((1..17).map(|level| format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1)));
    lines.extend((0..60).map(|place| format!(r#"(import "f{place}" (func (param "a" $t16)))"#)));
    let text = lines.join("\n") + ")";
    let bytes = wat::parse_str(&text).expect("the text of a component");
    let refused = |result: Result<(), Error>| match result {
        Err(Error::TooLarge(_) | Error::Invalid(_)) => {}
        other => panic!("{other:?}"),
    };
    refused(wit::model(&bytes).map(drop));
    refused(wit::text(&bytes).map(drop));
    refused(inspect::inspect(&bytes).map(drop));
}

#[test]
fn components_that_nest_too_deep_are_refused() {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..200 {
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        let mut length = bytes.len();
        loop {
            let low = u8::try_from(length & 0x7f).expect("seven bits");
            length >>= 7;
            outer.push(if length == 0 { low } else { low | 0x80 });
            if length == 0 {
                break;
            }
        }
        outer.extend(&bytes);
        bytes = outer;
    }
    assert!(matches!(wit::model(&bytes), Err(Error::TooLarge(_))));
}

#[test]
fn what_no_wit_file_can_say_is_described_all_the_same() {
    let bytes =
        wat::parse_str(r#"(component (core module $m) (export "part" (core module $m)))"#).expect("text");
    assert!(matches!(wit::text(&bytes), Err(Error::Inexpressible(_))));
    let inspection = inspect::inspect(&bytes).expect("an inspection");
    assert_eq!(inspection.exports[0].entries[0].signature, "part: module");
}

#[test]
fn a_type_that_is_exported_again_is_an_alias_of_its_first_name() {
    let world = world(SHAPES);
    let owners: Vec<_> = world
        .types
        .iter()
        .filter(|def| def.name.as_deref() == Some("shape"))
        .collect();
    assert_eq!(owners.len(), 2);
    assert_eq!(owners[0].owner.as_deref(), Some("acme:shapes/draw"));
    assert!(
        matches!(owners[1].kind, TypeKind::Alias { .. }),
        "{:?}",
        owners[1]
    );
}

#[test]
fn a_module_is_listed_in_the_manner_of_wit() {
    let text = r#"(module (import "env" "log" (func (param i32))) (func (export "f") (result i64 i64) unreachable))"#;
    let listing =
        wit::text(&wit::binary(text.as_bytes(), "listed.wat").expect("a module")).expect("a listing");
    assert!(
        listing.ends_with("import env.log: func(i32);\nexport f: func() -> (i64, i64);\n"),
        "{listing}"
    );
}
