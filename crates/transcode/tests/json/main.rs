//! Holds the JSON half to prost-reflect and to the rules of ProtoJSON.

mod broken_wire;
mod generate;
mod legacy;
mod oracle;
mod properties;
mod read;
mod refuse;
mod text;
mod write;
