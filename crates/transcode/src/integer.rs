//! Protobuf's ten integer types: what they hold and how the wire holds it.

use std::ops::RangeInclusive;

use crate::WireError;
use crate::wire::{Payload, WireType, push_varint};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Integer {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
}

/// An integer from the wire. JSON shows 64-bit ones as strings, because JavaScript would round them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Number {
    Narrow(i64),
    Wide(i64),
    WideUnsigned(u64),
}

impl Integer {
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 | Self::Sint32 | Self::Sint64 => WireType::Varint,
            Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
        }
    }

    pub(crate) fn range(self) -> RangeInclusive<i128> {
        match self {
            Self::Int32 | Self::Sint32 | Self::Sfixed32 => i32::MIN.into()..=i32::MAX.into(),
            Self::Int64 | Self::Sint64 | Self::Sfixed64 => i64::MIN.into()..=i64::MAX.into(),
            Self::Uint32 | Self::Fixed32 => 0..=u32::MAX.into(),
            Self::Uint64 | Self::Fixed64 => 0..=u64::MAX.into(),
        }
    }

    /// Varints of 32-bit types are cut to 32 bits, as every protobuf reader does.
    #[inline]
    pub(crate) fn decode(self, payload: Payload<'_>) -> Result<Number, WireError> {
        let number = match (self, payload) {
            (Self::Int32, Payload::Varint(value)) => Number::Narrow(i64::from(value as i32)),
            (Self::Int64, Payload::Varint(value)) => Number::Wide(value as i64),
            (Self::Uint32, Payload::Varint(value)) => Number::Narrow(i64::from(value as u32)),
            (Self::Uint64, Payload::Varint(value)) => Number::WideUnsigned(value),
            (Self::Sint32, Payload::Varint(value)) => Number::Narrow(unzigzag(u64::from(value as u32))),
            (Self::Sint64, Payload::Varint(value)) => Number::Wide(unzigzag(value)),
            (Self::Fixed32, Payload::Fixed32(value)) => Number::Narrow(i64::from(value)),
            (Self::Fixed64, Payload::Fixed64(value)) => Number::WideUnsigned(value),
            (Self::Sfixed32, Payload::Fixed32(value)) => Number::Narrow(i64::from(value as i32)),
            (Self::Sfixed64, Payload::Fixed64(value)) => Number::Wide(value as i64),
            (_, _) => return Err(WireError::WrongWireType),
        };
        Ok(number)
    }

    /// Appends a value that is in [`Self::range`], without its tag.
    pub(crate) fn push(self, value: i128, out: &mut Vec<u8>) {
        match self {
            Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 => push_varint(out, value as u64),
            Self::Sint32 | Self::Sint64 => push_varint(out, zigzag(value as i64)),
            Self::Fixed32 | Self::Sfixed32 => out.extend_from_slice(&(value as u32).to_le_bytes()),
            Self::Fixed64 | Self::Sfixed64 => out.extend_from_slice(&(value as u64).to_le_bytes()),
        }
    }
}

impl Number {
    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Self::Narrow(0) | Self::Wide(0) | Self::WideUnsigned(0))
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
