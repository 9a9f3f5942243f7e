//! Translates between HTTP/JSON and protobuf by plans compiled from descriptors, without structs between.

mod error;
mod fields;
mod gather;
mod integer;
mod path;
pub mod peek;
mod percent;
mod plan;
mod query;
mod read;
mod route;
mod text;
mod time;
mod wire;
mod write;

pub use error::{FieldViolation, JsonError, WireError};
pub use path::{Segment, Template, TemplateError, Variable};
pub use plan::{MessageId, Plans};
pub use route::{Body, Found, Match, ResponseBody, Route, RouteError, Routes};
pub use write::WriteOptions;

/// Messages and JSON values nested deeper than this are refused, in both directions. It is also prost's limit.
pub const MAX_DEPTH: usize = 100;
