//! The protobuf wire format: a cursor that reads fields, and functions that append them.

use crate::{MAX_DEPTH, WireError};

/// What one field holds, before its declared type is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'w> {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(&'w [u8]),
    Group(&'w [u8]),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    GroupStart = 3,
    GroupEnd = 4,
    Fixed32 = 5,
}

impl Payload<'_> {
    /// What stands for the default of every type but enums.
    pub(crate) fn zero(wire_type: WireType) -> Self {
        match wire_type {
            WireType::Varint => Self::Varint(0),
            WireType::Fixed32 => Self::Fixed32(0),
            WireType::Fixed64 => Self::Fixed64(0),
            WireType::Bytes => Self::Bytes(&[]),
            WireType::GroupStart | WireType::GroupEnd => Self::Group(&[]),
        }
    }
}

/// Reads fields from the front of a message's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'w> {
    rest: &'w [u8],
}

impl<'w> Cursor<'w> {
    pub(crate) fn new(bytes: &'w [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field's number and content, or nothing at the end.
    #[inline]
    pub(crate) fn next_field(&mut self) -> Result<Option<(u32, Payload<'w>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        let payload = self.payload(number, wire_type)?;
        Ok(Some((number, payload)))
    }

    /// The next element of a packed run.
    pub(crate) fn next_element(&mut self, wire_type: WireType) -> Result<Payload<'w>, WireError> {
        self.payload(0, wire_type)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            Some(_) => self.long_varint(),
            None => Err(WireError::Truncated),
        }
    }

    fn fixed32(&mut self) -> Result<u32, WireError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn fixed64(&mut self) -> Result<u64, WireError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    return Err(WireError::BadVarint);
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 {
            WireError::Truncated
        } else {
            WireError::BadVarint
        })
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, WireType), WireError> {
        let tag = u32::try_from(self.varint()?).map_err(|_| WireError::BadTag)?;
        let wire_type = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            3 => WireType::GroupStart,
            4 => WireType::GroupEnd,
            5 => WireType::Fixed32,
            _ => return Err(WireError::BadTag),
        };
        match tag >> 3 {
            0 => Err(WireError::BadTag),
            number => Ok((number, wire_type)),
        }
    }

    #[inline]
    fn payload(&mut self, number: u32, wire_type: WireType) -> Result<Payload<'w>, WireError> {
        match wire_type {
            WireType::Varint => self.varint().map(Payload::Varint),
            WireType::Fixed64 => self.fixed64().map(Payload::Fixed64),
            WireType::Bytes => self.bytes().map(Payload::Bytes),
            WireType::Fixed32 => self.fixed32().map(Payload::Fixed32),
            WireType::GroupStart => self.group(number).map(Payload::Group),
            WireType::GroupEnd => Err(WireError::BadGroup),
        }
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'w [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The bytes up to the end of the group that has just started.
    fn group(&mut self, number: u32) -> Result<&'w [u8], WireError> {
        let content = self.rest;
        let mut open = vec![number];
        loop {
            let length = content.len() - self.rest.len();
            let (number, wire_type) = self.tag()?;
            match wire_type {
                WireType::GroupStart if open.len() == MAX_DEPTH => return Err(WireError::TooDeep),
                WireType::GroupStart => open.push(number),
                WireType::GroupEnd if open.pop() != Some(number) => return Err(WireError::BadGroup),
                WireType::GroupEnd if open.is_empty() => return Ok(&content[..length]),
                WireType::GroupEnd => {}
                WireType::Varint | WireType::Fixed64 | WireType::Bytes | WireType::Fixed32 => {
                    self.payload(number, wire_type)?;
                }
            }
        }
    }
}

#[inline]
pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(crate) fn push_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    push_varint(out, u64::from(number) << 3 | wire_type as u64);
}

pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Starts content whose length is not known yet; [`close_length`] completes it.
#[inline]
pub(crate) fn open_length(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of all that follows `start` in front of it. Content above 127 bytes moves by the bytes that its
/// length needs beyond the one left for it.
#[inline]
pub(crate) fn close_length(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
    } else {
        close_long_length(out, start, length);
    }
}

fn close_long_length(out: &mut Vec<u8>, start: usize, length: usize) {
    let mut prefix = Vec::with_capacity(10);
    push_varint(&mut prefix, length as u64);
    let shift = prefix.len() - 1;
    out.resize(out.len() + shift, 0);
    out.copy_within(start..start + length, start + shift);
    out[start - 1..start + shift].copy_from_slice(&prefix);
}
