//! Stores `openapi.json` in the worker without the blanks at the beginning of its lines: they are a third of it, and
//! nobody reads them there. No line of it begins inside a text.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=src/api/openapi.json");
    println!("cargo::rerun-if-changed=build.rs");
    let text = fs::read_to_string("src/api/openapi.json").expect("the document is there");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    let compact: String = text.lines().map(str::trim_start).collect();
    fs::write(Path::new(&out).join("openapi.json"), compact).expect("cargo made the directory");
}
