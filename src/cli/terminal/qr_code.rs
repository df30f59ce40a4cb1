//! A QR code in characters (ISO/IEC 18004): each shows two modules, one above the other.

use anstyle::{AnsiColor, Color, Style};
use qrcodegen::{QrCode, QrCodeEcc};

/// White modules on black, whatever the terminal's own colors are.
pub(crate) const COLORS: Style =
    Style::new().fg_color(Some(Color::Ansi(AnsiColor::BrightWhite))).bg_color(Some(Color::Ansi(AnsiColor::Black)));

/// The widths of the light border in modules. The standard asks for 4; cameras manage with 2.
const BORDERS: [i32; 2] = [4, 2];

/// The lines of the code of this text, if they fit into these columns and rows. Light modules are drawn, dark ones are
/// not.
pub(crate) fn drawn(text: &str, columns: usize, rows: usize) -> Option<Vec<String>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let fitting = |border: &i32| {
        let size = usize::try_from(code.size() + 2 * border).unwrap_or(usize::MAX);
        size <= columns && size.div_ceil(2) <= rows
    };
    BORDERS.into_iter().find(fitting).map(|border| lines(&code, border))
}

fn lines(code: &QrCode, border: i32) -> Vec<String> {
    let end = code.size() + border;
    let half_block = |x, y| match (code.get_module(x, y), y + 1 == end || code.get_module(x, y + 1)) {
        (false, false) => '█',
        (false, true) => '▀',
        (true, false) => '▄',
        (true, true) => ' ',
    };
    (-border..end).step_by(2).map(|y| (-border..end).map(|x| half_block(x, y)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://id.example.com/device?user_code=WDJB-MJHT";

    #[test]
    fn a_code_is_drawn_only_where_it_fits() {
        // Version 3 has 29 modules (ISO/IEC 18004, table 1).
        for (columns, rows, width) in
            [(80, 19, Some(37)), (37, 19, Some(37)), (36, 19, Some(33)), (80, 18, Some(33)), (33, 17, Some(33))]
                .into_iter()
                .chain([(32, 19, None), (80, 16, None), (0, 0, None)])
        {
            let drawn = drawn(URL, columns, rows);
            assert_eq!(drawn.as_ref().map(|lines| lines[0].chars().count()), width, "{columns} x {rows}");
            assert!(drawn.is_none_or(|lines| lines.len() <= rows));
        }
        assert_eq!(drawn(&"x".repeat(4_000), 1_000, 1_000), None, "longer than any code");
    }

    #[test]
    fn the_corners_are_those_of_every_code() {
        let lines = drawn("x", 80, 80).unwrap();
        // The finder pattern: a dark square in a light one in a dark one.
        let corner: Vec<String> = lines[2..6].iter().map(|line| line.chars().skip(4).take(7).collect()).collect();
        assert_eq!(corner, [" ▄▄▄▄▄ ", " █   █ ", " █▄▄▄█ ", "▄▄▄▄▄▄▄"].map(|row| row.to_owned()));
        assert!(lines[..2].iter().all(|line| line.chars().all(|c| c == '█')), "the border is light");
    }
}
