/// The format of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus' text format, 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

// ===== impl Format =====

impl Format {
    /// The format that an `Accept` header asks for: OpenMetrics where the header names it.
    pub fn of_accept(accept: &str) -> Self {
        match accept.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    /// The content type of an answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Text of OpenMetrics, in this format. A family is called there without the suffix of its samples
    /// (`_total`, `_info`), which the older format has in the name; and there are two more lines.
    pub(super) fn of_openmetrics(self, text: String) -> String {
        if self == Self::OpenMetrics {
            return text;
        }
        let mut older = String::with_capacity(text.len() + 1024);
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(help) = line.strip_prefix("# HELP ") else {
                match line {
                    "# EOF" => {}
                    line => push(&mut older, &["", line]),
                }
                continue;
            };
            let (name, help) = help.split_once(' ').unwrap_or((help, ""));
            let kind = lines.next().and_then(|line| line.rsplit(' ').next());
            let (suffix, kind) = match kind.unwrap_or("untyped") {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            push(&mut older, &["# HELP ", name, suffix, " ", help]);
            push(&mut older, &["# TYPE ", name, suffix, " ", kind]);
        }
        older
    }
}

fn push(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_suffix_of_their_samples() {
        let openmetrics = "# HELP a_b Bytes.\n# TYPE a_b counter\na_b_total{x=\"y z\"} 1\n# HELP c C\n# TYPE c \
                           gauge\nc 2\n# HELP d D\n# TYPE d info\nd_info{v=\"1\"} 1\n# EOF\n";
        let text = "# HELP a_b_total Bytes.\n# TYPE a_b_total counter\na_b_total{x=\"y z\"} 1\n# HELP c C\n# TYPE \
                    c gauge\nc 2\n# HELP d_info D\n# TYPE d_info gauge\nd_info{v=\"1\"} 1\n";
        assert_eq!(Format::Text.of_openmetrics(openmetrics.to_owned()), text);
        let unchanged = Format::OpenMetrics.of_openmetrics(openmetrics.to_owned());
        assert_eq!(unchanged, openmetrics);
    }

    #[test]
    fn the_scraper_chooses() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
        assert_eq!(Format::of_accept(prometheus), Format::OpenMetrics);
        for other in ["", "*/*", "text/plain"] {
            assert_eq!(Format::of_accept(other), Format::Text);
        }
    }
}
