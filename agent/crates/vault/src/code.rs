//! The few primitives every record is made of. Reading is total: any bytes give a value or an error, no panic, and
//! no allocation larger than the input.

/// Why bytes do not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

type Read<T> = std::result::Result<T, Malformed>;

/// Appends primitives to a buffer.
#[derive(Debug, Default, Clone)]
pub struct Encoder {
    /// What was written so far.
    pub bytes: Vec<u8>,
}

impl Encoder {
    /// An unsigned number, LEB128: seven bits a byte, low first, high bit set on all but the last.
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A signed number: zigzag, then as [`Self::number`].
    pub fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Bytes, their length first.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of a length the reader knows.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// Takes primitives off the front of a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> Read<u8> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed("ends early"))?;
        self.rest = rest;
        Ok(*first)
    }

    /// See [`Encoder::number`].
    pub fn number(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed("number too large"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("number too long"))
    }

    /// A number that must fit the type asked for.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.number()?).map_err(|_| Malformed("number out of range"))
    }

    /// See [`Encoder::signed`].
    pub fn signed(&mut self) -> Read<i64> {
        let raw = self.number()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// `length` bytes.
    pub fn raw(&mut self, length: usize) -> Read<&'a [u8]> {
        if length > self.rest.len() {
            return Err(Malformed("ends early"));
        }
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    /// A fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.raw(N)?);
        Ok(out)
    }

    /// See [`Encoder::blob`].
    pub fn blob(&mut self) -> Read<&'a [u8]> {
        let length: usize = self.small()?;
        self.raw(length)
    }

    /// A count of things that take at least `least` bytes each, so that a caller may reserve room for them.
    pub fn count(&mut self, least: usize) -> Read<usize> {
        let count: usize = self.small()?;
        if count > self.rest.len() / least.max(1) {
            return Err(Malformed("count exceeds the bytes there are"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_read_back(value: u64, signed: i64) {
            let mut out = Encoder::default();
            out.number(value);
            out.signed(signed);
            let mut input = Decoder::new(&out.bytes);
            prop_assert_eq!(input.number(), Ok(value));
            prop_assert_eq!(input.signed(), Ok(signed));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes: Vec<u8>) {
            let mut input = Decoder::new(&bytes);
            while input.number().is_ok() {}
            let mut input = Decoder::new(&bytes);
            while input.blob().is_ok() {}
        }
    }
}
