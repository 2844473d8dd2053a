//! Deltas: instructions that make one content of another.

use super::{Buffer, Failure};

/// What `delta` makes of `base`; an error if it is no delta of it, or of more than `largest` bytes.
pub(super) fn apply(base: &[u8], delta: &[u8], largest: u64) -> Result<Buffer, Failure> {
    let damaged = || Failure::Damaged("it is no delta of its base");
    let mut delta = delta;
    if size(&mut delta).ok_or_else(damaged)? != base.len() as u64 {
        return Err(damaged());
    }
    let length = size(&mut delta).ok_or_else(damaged)?;
    if length > largest {
        return Err(Failure::TooLarge(length));
    }
    let mut content = Buffer::zeroed(length as usize).map_err(Failure::Io)?;
    let mut rest_of_content = &mut content[..];
    while let Some((&instruction, rest)) = delta.split_first() {
        delta = rest;
        let part = if instruction & 0x80 != 0 {
            let offset = number(&mut delta, instruction & 0xf).ok_or_else(damaged)?;
            let number = number(&mut delta, (instruction >> 4) & 7).ok_or_else(damaged)?;
            let number = if number == 0 { 0x10000 } else { number };
            base.get(offset..offset + number)
        } else {
            // 0 is reserved: inserting nothing, it would only waste time.
            let part = delta.split_at_checked(instruction.into()).filter(|_| instruction != 0);
            part.map(|(part, rest)| {
                delta = rest;
                part
            })
        };
        let part = part.ok_or_else(damaged)?;
        let (to, after) = rest_of_content.split_at_mut_checked(part.len()).ok_or_else(damaged)?;
        to.copy_from_slice(part);
        rest_of_content = after;
    }
    if rest_of_content.is_empty() { Ok(content) } else { Err(damaged()) }
}

/// A size at the head of a delta: 7 bits a byte, the lowest first.
fn size(delta: &mut &[u8]) -> Option<u64> {
    let mut size = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = delta.split_first()?;
        *delta = rest;
        size |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
    None
}

/// A little-endian number of which only the bytes that `present` has a bit for are there.
fn number(delta: &mut &[u8], present: u8) -> Option<usize> {
    let mut number = 0;
    for byte in 0..4 {
        if present & (1 << byte) != 0 {
            let (&value, rest) = delta.split_first()?;
            *delta = rest;
            number |= usize::from(value) << (8 * byte);
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::apply;

    fn applied(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
        apply(base, delta, 1 << 20).ok().map(|content| content.to_vec())
    }

    #[test]
    fn copies_and_insertions_are_carried_out() {
        let delta = [5, 9, 0x90 | 0x01, 1, 4, 2, b'x', b'y', 0x90, 3];
        assert_eq!(applied(b"hello", &delta).unwrap(), b"elloxyhel");
        assert_eq!(applied(b"", &[0, 0]).unwrap(), b"");
        // A copy without a size is one of 64 KiB.
        let base = vec![7; 0x10000];
        assert_eq!(applied(&base, &[0x80, 0x80, 4, 0x80, 0x80, 4, 0x80]).unwrap(), base);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for delta in [
            &[][..],
            &[0x80],
            &[4, 1, 1, b'x'],
            &[5, 2, 1, b'x'],
            &[5, 1, 2, b'x', b'y'],
            &[5, 1, 0],
            &[5, 1, 1],
            &[5, 9, 0x91, 0, 9],
            &[5, 5, 0x91, 1],
            &[5, 5, 0x9f, 0xff, 0xff, 0xff, 0xff, 5],
            &[5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
            &[5, 0x80, 0x80, 0x80, 0x80, 0x7f],
        ] {
            assert_eq!(applied(b"hello", delta), None, "{delta:?}");
        }
    }
}
