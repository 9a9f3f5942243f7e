//! The RPCs: who, parse, do, reply.

mod internal;
mod message;
mod public;

pub(crate) use self::{internal::Internal, message::task_message, public::Public};
