//! What stands before an entry and says more about it: PAX records and GNU's long names.

use std::io::Read;

use super::Content;
use crate::error::Result;
use crate::source::archive::failure;

/// The most bytes of one extension. Node allows 1 MiB; names end at PATH_MAX.
const LARGEST: u64 = 1 << 20;

/// What has been said about the next entry.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    /// The sorts of extensions seen.
    seen: Vec<u8>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<i64>,
    pub(super) is_sparse: bool,
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Reads an extension; false for any other sort of header, of which nothing is read.
    pub(super) fn take(&mut self, sort: u8, size: u64, content: &mut Content<'_>) -> Result<bool> {
        let refused = |why: &str| failure::refused_archive(why);
        if !matches!(sort, b'x' | b'g' | b'L' | b'K') {
            return Ok(false);
        }
        if size > LARGEST {
            return Err(refused("one of its extension headers has more than a mebibyte"));
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| failure::of_stream(&error))?;
        if sort != b'g' {
            if self.seen.contains(&sort) {
                return Err(refused("two extension headers of one sort stand before one entry"));
            }
            self.seen.push(sort);
        }
        match sort {
            b'L' => set(&mut self.name, until_nul(bytes)?)?,
            b'K' => set(&mut self.target, until_nul(bytes)?)?,
            _ => {
                let records =
                    records(&bytes).ok_or_else(|| refused("one of its PAX headers is malformed"))?;
                let mut own = Extensions::default();
                for (key, value) in records {
                    own.record(key, value)?;
                }
                if sort == b'g' {
                    if own.name.is_some() || own.target.is_some() || own.size.is_some() || own.is_sparse {
                        return Err(refused(
                            "a PAX header for all entries would change their names or sizes",
                        ));
                    }
                    return Ok(true);
                }
                self.size = own.size;
                self.modified = own.modified;
                self.is_sparse = own.is_sparse;
                own.name.map_or(Ok(()), |name| set(&mut self.name, name))?;
                own.target.map_or(Ok(()), |target| set(&mut self.target, target))?;
            }
        }
        Ok(true)
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let refused = |why: &str| failure::refused_archive(why);
        match key {
            b"path" => set(&mut self.name, value.to_vec()),
            b"linkpath" => set(&mut self.target, value.to_vec()),
            b"size" => {
                let size = decimal(value).ok_or_else(|| refused("a size in a PAX header is no number"))?;
                set(&mut self.size, size)
            }
            b"mtime" => {
                self.modified = seconds(value);
                Ok(())
            }
            _ if key.starts_with(b"GNU.sparse.") => {
                self.is_sparse = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Sets what may be said once, or twice if it is the same.
fn set<T: PartialEq>(field: &mut Option<T>, value: T) -> Result<()> {
    match field {
        Some(old) if *old != value => {
            Err(failure::refused_archive("two extension headers say different things about one entry"))
        }
        _ => {
            *field = Some(value);
            Ok(())
        }
    }
}

/// GNU ends its names with a NUL.
fn until_nul(mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    if bytes[end..].iter().any(|&byte| byte != 0) {
        return Err(failure::refused_archive("a long name in it goes on after its end"));
    }
    bytes.truncate(end);
    Ok(bytes)
}

/// The records `<length> <key>=<value>\n`; the length is that of the whole record, and it alone says
/// where one ends.
fn records(mut rest: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !rest.is_empty() {
        let space = rest.iter().position(|&byte| byte == b' ')?;
        let length = usize::try_from(decimal(&rest[..space])?).ok()?;
        let (record, after) = rest.split_at_checked(length)?;
        let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        records.push((&pair[..equals], &pair[equals + 1..]));
        rest = after;
    }
    Some(records)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let digit = char::from(digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The whole seconds of a time, rounded down; `None` if it is none.
fn seconds(value: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let whole = i64::try_from(decimal(parts.next()?)?).ok()?;
    let has_fraction = parts.next().is_some_and(|fraction| fraction.iter().any(|&digit| digit != b'0'));
    Some(if is_negative { -whole - i64::from(has_fraction) } else { whole })
}

#[cfg(test)]
mod tests {
    use super::{records, seconds};

    #[test]
    fn a_record_ends_where_its_length_says() {
        let found = records(b"17 path=a\nsize=9\n11 mtime=7\n").unwrap();
        assert_eq!(found, [(&b"path"[..], &b"a\nsize=9"[..]), (b"mtime", b"7")]);
        assert_eq!(records(b"").unwrap(), []);
        let bad: [&[u8]; 8] = [
            b"x",
            b" path=a\n",
            b"9 path=a",
            b"8 path=a\n",
            b"11 path=a\n",
            b"2 \n",
            b"7 path\n",
            b"99999999999999999999 a=b\n",
        ];
        for bytes in bad {
            assert_eq!(records(bytes), None, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn times_are_rounded_down() {
        assert_eq!(seconds(b"1.9"), Some(1));
        assert_eq!(seconds(b"-1.5"), Some(-2));
        assert_eq!(seconds(b"-1.0"), Some(-1));
        assert_eq!(seconds(b"-11644473600"), Some(-11_644_473_600));
        assert_eq!(seconds(b"soon"), None);
    }
}
