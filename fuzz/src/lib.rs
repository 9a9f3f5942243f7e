//! What must hold for any input at all: nothing panics, and what we accept is what an independent reader makes of it.

pub mod json;
pub mod paths;
pub mod queries;

use std::path::Path;

use prost_reflect::DescriptorPool;
use transcode::{Plans, Routes};

/// A compiled contract with its routes.
pub struct Contract {
    pub pool: DescriptorPool,
    pub plans: Plans,
    pub routes: Routes,
}

impl Contract {
    /// Of a file in one of the folders with test protos.
    fn compile(file: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [
            "proto",
            "../crates/transcode/tests/proto",
            "../crates/transcode/tests/routing",
            "../proto",
        ];
        let mut compiler =
            protox::Compiler::new(folders.map(|folder| root.join(folder))).expect("the folders are there");
        compiler
            .include_imports(true)
            .open_file(file)
            .expect("the test proto compiles");
        let encoded = compiler.encode_file_descriptor_set();
        let pool = DescriptorPool::decode(encoded.as_slice()).expect("the descriptors are consistent");
        let plans = Plans::compile(&pool);
        let routes =
            Routes::compile(&pool, &plans, |rpc| rpc.name() != "Unreachable").expect("the rules can be served");
        Self { pool, plans, routes }
    }
}

/// Half of the bytes are taken as they are, the other half choose, each with the byte after it, among pieces that mean
/// something: a fuzzer that had to guess whole words would never get past them.
fn text_of_pieces(data: &[u8], pieces: &[&str]) -> String {
    let mut text = String::new();
    let mut bytes = data.iter();
    while let Some(&byte) = bytes.next() {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            let choice = u16::from_be_bytes([byte & 0x7f, bytes.next().copied().unwrap_or_default()]);
            text.push_str(pieces[usize::from(choice) % pieces.len()]);
        }
    }
    text
}
