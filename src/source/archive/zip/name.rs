//! The names in a zip: UTF-8 if a flag says so, else code page 437 of DOS, as Python takes them.

/// What the bytes from 128 on stand for in code page 437.
const UPPER_HALF: &str = "\
    ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ\
    áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// A name in UTF-8; `None` if it is said to be that and is not.
pub(super) fn decode(name: &[u8], is_utf8: bool) -> Option<Vec<u8>> {
    if is_utf8 {
        return std::str::from_utf8(name).is_ok().then(|| name.to_vec());
    }
    if name.is_ascii() {
        return Some(name.to_vec());
    }
    let upper: Vec<char> = UPPER_HALF.chars().collect();
    let decoded: String = name
        .iter()
        .map(|&byte| match byte.checked_sub(128) {
            Some(upper_byte) => upper.get(usize::from(upper_byte)).copied().unwrap_or('\u{fffd}'),
            None => char::from(byte),
        })
        .collect();
    Some(decoded.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::{UPPER_HALF, decode};

    #[test]
    fn names_are_decoded_as_python_does() {
        assert_eq!(UPPER_HALF.chars().count(), 128);
        let decoded =
            |name: &[u8], is_utf8| decode(name, is_utf8).map(|name| String::from_utf8(name).unwrap());
        assert_eq!(decoded("é".as_bytes(), true).unwrap(), "é");
        assert_eq!(decoded(b"\x82\x80\xffa", false).unwrap(), "éÇ\u{a0}a");
        assert_eq!(decoded(b"\xe1\xf1", false).unwrap(), "ß±");
        assert_eq!(decode(b"\xff", true), None);
    }
}
