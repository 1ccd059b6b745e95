//! Base64 as systemd writes it: the standard alphabet, padded, nothing else in it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes `text`; `None` if one of its bytes is not what an encoder would have written.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &text[..text.len() - padding];
    // 4 digits make 3 bytes; 3 make 2, 2 make 1, and a single one makes none.
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            let value = ALPHABET.iter().position(|letter| letter == digit)?;
            bits = bits << 6 | value as u32;
        }
        let missing = 4 - group.len();
        bits <<= 6 * missing;
        let decoded = bits.to_be_bytes();
        let (whole, rest) = decoded[1..].split_at(3 - missing);
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(whole);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::decode;
    use proptest::prelude::*;

    #[test]
    fn by_table() {
        let cases: &[(&str, Option<&[u8]>)] = &[
            ("", Some(b"")),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYg==", Some(b"foob")),
            (
                "c29tZSAyMDAwMDAgMjAwMDAwMAA=",
                Some(b"some 200000 2000000\0"),
            ),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("Zg", None),
            ("Zg=", None),
            ("Zg===", None),
            ("Z===", None),
            ("A===", None),
            ("====", None),
            ("Zh==", None),
            ("Zm9=", None),
            ("Zm=v", None),
            ("Zg==Zg==", None),
            ("Zm9v\n", None),
            ("Zm 9", None),
            ("-_-_", None),
            ("Zm9\u{e4}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decode(text.as_bytes()).as_deref(), *expected, "{text:?}");
        }
    }

    fn encode(bytes: &[u8]) -> String {
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let bits = (0..3).fold(0u32, |bits, at| {
                bits << 8 | u32::from(group.get(at).copied().unwrap_or(0))
            });
            for at in 0..4 {
                let digit = super::ALPHABET[(bits >> (18 - 6 * at)) as usize & 63];
                text.push(if at <= group.len() {
                    digit as char
                } else {
                    '='
                });
            }
        }
        text
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes: Vec<u8>) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }

        /// Whatever is accepted is what an encoder writes for it: no two texts mean the same.
        #[test]
        fn nothing_else_is(text in "[A-Da-d/=]{0,12}") {
            if let Some(bytes) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
