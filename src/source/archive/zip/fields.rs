//! Little-endian numbers, one after the other.

/// What is left of some bytes.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }
}

/// The extra fields of a header: number and content. `None` if one does not fit in. Up to three bytes
/// at the end are padding.
pub(super) fn extras(bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut fields = Fields(bytes);
    let mut extras = Vec::new();
    while fields.0.len() >= 4 {
        let (number, length) = (fields.u16()?, fields.u16()?);
        extras.push((number, fields.bytes(usize::from(length))?));
    }
    Some(extras)
}
