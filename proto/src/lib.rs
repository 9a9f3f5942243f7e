//! The contract as Rust types, and as the descriptor set that edge, services and tools read routes and policies from.

/// Every file of the contract with its imports, options and comments: an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

#[expect(clippy::all, clippy::allow_attributes, reason = "generated from the contract")]
mod contract {
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

pub use contract::{bookmesh::*, google};
