//! How many descriptors this process may have open.
//!
//! Holds the one question to the host. Refuses to change the answer: who wants more connections raises
//! the limit where the server is started (`ulimit -n`).

/// The soft limit of open descriptors. Where the host does not tell, the smallest one that is common.
pub fn soft_limit() -> usize {
    const COMMON: usize = 256;
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    parse(&text).unwrap_or(COMMON)
}

/// The soft limit in Linux' table of limits.
fn parse(text: &str) -> Option<usize> {
    let row = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match row.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_limits_is_read() {
        const HEAD: &str = "Limit                     Soft Limit           Hard Limit           Units\n\
             Max processes             5                    5                    processes\n";
        for (row, want) in [
            (
                "Max open files            1024                 524288               files\n",
                Some(1024),
            ),
            (
                "Max open files            unlimited            unlimited            files\n",
                Some(usize::MAX),
            ),
            ("Max open files            -3                   1                    files\n", None),
            ("Max open files", None),
            ("", None),
        ] {
            assert_eq!(parse(&format!("{HEAD}{row}")), want, "{row}");
        }
    }
}
