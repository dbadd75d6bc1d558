//! Exported resources in Go, as they should be: the generator keeps the handle with which a resource was first
//! given away, which is another when it comes back, and drops by that; and it asks for fields in the user's type.
//!
//! What it writes for each resource is replaced as a whole. A handle stands for a number, by which the object is
//! kept until its destructor is called, and handles that are on this side are known by their object.

use crate::error::{Error, Result};

const FIRST: &str = "//go:wasmimport [export]";
const NEW: &str = " [resource-new]";

/// The text of a file with its exported resources replaced.
///
/// # Errors
/// [`Error::Interface`] if the generator is another than this was written for, which a test would tell.
pub(super) fn with_resources(text: &str) -> Result<String> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(FIRST) {
        let (before, block) = rest.split_at(at);
        made.push_str(before);
        let (resource, length) = resource(block)
            .ok_or_else(|| Error::Interface("the generator of Go is another than was expected".to_owned()))?;
        made.push_str(&resource);
        rest = &block[length..];
    }
    made.push_str(rest);
    Ok(made)
}

/// The code for the resource whose code begins `block`, and how long that is.
fn resource(block: &str) -> Option<(String, usize)> {
    let (module, after) = block.strip_prefix(FIRST)?.split_once(NEW)?;
    let (name, after) = after.split_once('\n')?;
    let (class, _) = after.strip_prefix("func resourceNew")?.split_once('(')?;
    let last = block.find(&format!("func {class}FromBorrowHandle("))?;
    let end = last + block[last..].find("\n}\n")? + "\n}\n".len();
    let filled = RESOURCE
        .replace("MODULE", module)
        .replace("NAME", name)
        .replace("CLASS", class);
    Some((filled, end))
}

const RESOURCE: &str = "\
//go:wasmimport [export]MODULE [resource-new]NAME
func resourceNewCLASS(rep int32) int32

//go:wasmimport [export]MODULE [resource-rep]NAME
func resourceRepCLASS(handle int32) int32

//go:wasmimport [export]MODULE [resource-drop]NAME
func resourceDropCLASS(handle int32)

var _ unsafe.Pointer

// Those that have a handle, by what it stands for; and the handles that are on this side.
var (
	knownCLASS = map[int32]*CLASS{}
	ownedCLASS = map[*CLASS]int32{}
	lastCLASS  int32
)

//go:wasmexport MODULE#[dtor]NAME
func resourceDtorCLASS(rep int32) {
	self := knownCLASS[rep]
	delete(knownCLASS, rep)
	if dropped, ok := any(self).(interface{ OnDrop() }); ok {
		dropped.OnDrop()
	}
}

func (self *CLASS) TakeHandle() int32 {
	if handle, ok := ownedCLASS[self]; ok {
		delete(ownedCLASS, self)
		return handle
	}
	lastCLASS++
	for knownCLASS[lastCLASS] != nil {
		lastCLASS++
	}
	knownCLASS[lastCLASS] = self
	return resourceNewCLASS(lastCLASS)
}

func (self *CLASS) SetHandle(handle int32) {
	ownedCLASS[self] = handle
}

// Drop ends a CLASS that was given to this side, and calls its OnDrop if it has one.
func (self *CLASS) Drop() {
	if handle, ok := ownedCLASS[self]; ok {
		delete(ownedCLASS, self)
		resourceDropCLASS(handle)
	}
}

func CLASSFromOwnHandle(handle int32) *CLASS {
	self := knownCLASS[resourceRepCLASS(handle)]
	ownedCLASS[self] = handle
	return self
}

func CLASSFromBorrowHandle(rep int32) *CLASS {
	return knownCLASS[rep]
}
";

#[cfg(test)]
mod tests {
    use super::with_resources;
    use crate::bindings::{Language, generate};
    use crate::source::Source;

    #[test]
    fn each_exported_resource_is_replaced_and_the_rest_stays() {
        let folder = std::env::temp_dir().join(format!("wherry-go-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let wit = "package a:b;
            interface i { resource one { m: func(); } resource two-three {} }
            world w { export i; }";
        std::fs::write(folder.join("w.wit"), wit).expect("a file");
        let source = Source::read(&folder, None);
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        let files = generate(source.expect("interfaces"), Language::Go).expect("files");
        let text: String = files
            .iter()
            .map(|(_, bytes)| String::from_utf8_lossy(bytes))
            .collect();
        assert!(!text.contains("pinner.Pin(self)") && !text.contains(".handle = "));
        for class in ["One", "TwoThree"] {
            assert!(text.contains(&format!(
                "func (self *{class}) Drop() {{\n\tif handle, ok := owned{class}"
            )));
        }
        let plain = "package p\n\nfunc f() {}\n";
        assert_eq!(with_resources(plain).expect("a text"), plain);
        assert!(with_resources("//go:wasmimport [export]m [resource-new]r\nfunc other()\n").is_err());
    }
}
