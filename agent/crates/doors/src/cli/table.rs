//! Columns that line up, without spaces at the ends of lines.

/// Text in columns.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
    indent: usize,
}

impl Table {
    /// An empty table, moved in by so many spaces.
    pub fn new(indent: usize) -> Self {
        Self { indent, ..Self::default() }
    }

    /// These columns, counted from 0, are flush right.
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Appends a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, a line per row.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
        let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(self.indent);
            let mut first = true;
            for (column, cell) in row.iter().enumerate().filter(|(column, _)| widths[*column] > 0) {
                let pad = " ".repeat(widths[column] - width(cell));
                if !first {
                    line.push_str("  ");
                }
                first = false;
                if self.right.contains(&column) {
                    line.push_str(&pad);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&pad);
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Characters shown, colours not counted.
pub fn width(cell: &str) -> usize {
    let mut count = 0;
    let mut escape = false;
    for c in cell.chars() {
        match (escape, c) {
            (false, '\x1b') => escape = true,
            (true, 'm') => escape = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colour_and_lines_end_in_text() {
        let mut table = Table::new(2).right(&[1]);
        table.row(["a", "1 B", ""]);
        table.row(["long", "\x1b[31m100 B\x1b[0m", "x"]);
        assert_eq!(table.text(), "  a       1 B\n  long  \x1b[31m100 B\x1b[0m  x\n");
    }
}
