//! Compiles the contract: Rust types of every package and one descriptor set with all options and comments.

use std::{error::Error, fs, path::PathBuf};

const PACKAGES: [&str; 6] = ["edge", "auth", "bookmarks", "imports", "task", "enrich"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = folder("CARGO_MANIFEST_DIR")?;
    let mut files = vec![root.join("google/api/httpbody.proto")];
    for package in PACKAGES {
        let folder = root.join("bookmesh").join(package).join("v1");
        println!("cargo:rerun-if-changed={}", folder.display());
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
    }
    files.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(&files)?;
    let descriptor_set = folder("OUT_DIR")?.join("descriptor.bin");
    // Encoded by protox itself: a decode by prost would drop our own method option.
    fs::write(descriptor_set, compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .bytes(".google.api.HttpBody")
        .include_file("contract.rs")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script where it is by the environment"
)]
fn folder(variable: &str) -> Result<PathBuf, Box<dyn Error>> {
    Ok(PathBuf::from(std::env::var(variable)?))
}
