//! Completion in PowerShell, whose script inserts values as they are.

/// Quotes the values of lines `VALUE` and `VALUE\tHELP`.
pub(super) fn quoted(lines: &str) -> String {
    lines.lines().map(|line| quoted_line(line) + "\n").collect()
}

fn quoted_line(line: &str) -> String {
    let end = line.find('\t').unwrap_or(line.len());
    let (value, help) = line.split_at(end);
    if value.chars().all(|c| c.is_alphanumeric() || "-_./\\:=+".contains(c)) {
        return line.to_owned();
    }
    let doubled = value.chars().fold(String::new(), |mut doubled, c| {
        // PowerShell reads the typographic ones as `'` too.
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            doubled.push(c);
        }
        doubled.push(c);
        doubled
    });
    format!("'{doubled}'{help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_necessary() {
        for (line, typed) in [
            ("claude:0", "claude:0\n"),
            ("--model\tThe model", "--model\tThe model\n"),
            ("a b\tit's", "'a b'\tit's\n"),
            ("$(id)", "'$(id)'\n"),
            ("it's", "'it''s'\n"),
            ("a\u{2019}b", "'a\u{2019}\u{2019}b'\n"),
        ] {
            assert_eq!(quoted(line), typed);
        }
    }
}
