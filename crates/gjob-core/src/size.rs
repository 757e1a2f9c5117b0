//! Sizes as people write them.

/// The units of a size, each 1024 times the one before.
const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];

/// A size as an option gives it: `100G`, and `23.5G` where that is not a whole number of
/// units. It is never more than it is.
#[must_use]
pub fn shown_size(bytes: u64) -> String {
    let power = (1..=5).rev().find(|power| bytes >> (10 * power) > 0);
    let Some(power) = power else { return bytes.to_string() };
    let (unit, name) = (1u128 << (10 * power), UNITS[power - 1]);
    let tenths = u128::from(bytes) * 10 / unit;
    match (tenths % 10, tenths / 10) {
        (tenth @ 1.., whole @ ..100) => format!("{whole}.{tenth}{name}"),
        (_, whole) => format!("{whole}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_options_give_them() {
        let sizes = [0, 1023, 1024, 288 << 20, 100 << 30, 24_105 << 20, 139_999_999, 16_384 << 40];
        let shown = sizes.map(shown_size);
        assert_eq!(shown, ["0", "1023", "1K", "288M", "100G", "23.5G", "133M", "16P"]);
    }
}
