//! Random expressions of a type over the columns in scope.
//!
//! Where the two engines write something differently, both ways stand in the text as `⟦ours¦theirs⟧`.

use super::random::Random;

/// The types of the tables' columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Integer,
    Float,
    Text,
    Truth,
}

/// A column that may be named.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Type,
}

/// Expressions over columns.
pub(super) struct Expressions<'r> {
    pub(super) random: &'r mut Random,
    pub(super) columns: Vec<Column>,
}

impl Expressions<'_> {
    /// A column of a type, or NULL of the type where there is none.
    pub(super) fn column(&mut self, kind: Type) -> String {
        let of_kind: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.kind == kind)
            .map(|column| column.name.as_str())
            .collect();
        if of_kind.is_empty() {
            return self.literal(kind);
        }
        self.random.of(&of_kind).to_owned()
    }

    pub(super) fn literal(&mut self, kind: Type) -> String {
        if self.random.once_in(8) {
            let name = match kind {
                Type::Integer => "BIGINT",
                Type::Float => "DOUBLE",
                Type::Text => "VARCHAR",
                Type::Truth => "BOOLEAN",
            };
            return format!("CAST(NULL AS {name})");
        }
        match kind {
            Type::Integer => format!("CAST({} AS BIGINT)", self.random.integer()),
            Type::Float => format!(
                "CAST({} AS DOUBLE)",
                self.random.of(&["0", "0.5", "-1.25", "2", "3.75"])
            ),
            Type::Text => self
                .random
                .of(&["''", "'a'", "'ab'", "'A'", "'b c'", "'ä'", "'%'"])
                .to_owned(),
            Type::Truth => self.random.of(&["true", "false"]).to_owned(),
        }
    }

    fn leaf(&mut self, kind: Type) -> String {
        if self.random.once_in(4) {
            self.literal(kind)
        } else {
            self.column(kind)
        }
    }

    pub(super) fn any(&mut self, kind: Type, depth: usize) -> String {
        if depth == 0 || self.random.once_in(4) {
            return self.leaf(kind);
        }
        let deeper = depth - 1;
        match self.random.below(8) {
            0 => {
                let (condition, this, that) =
                    (self.truth(deeper), self.any(kind, deeper), self.any(kind, deeper));
                if self.random.once_in(3) {
                    format!("CASE WHEN {condition} THEN {this} END")
                } else {
                    format!("CASE WHEN {condition} THEN {this} ELSE {that} END")
                }
            }
            1 => format!("coalesce({}, {})", self.any(kind, deeper), self.any(kind, deeper)),
            2 => format!("nullif({}, {})", self.any(kind, deeper), self.any(kind, deeper)),
            3 if kind != Type::Truth => format!(
                "{}({}, {})",
                self.random.of(&["greatest", "least"]),
                self.any(kind, deeper),
                self.any(kind, deeper)
            ),
            _ => match kind {
                Type::Integer => self.integer(deeper),
                Type::Float => self.float(deeper),
                Type::Text => self.text(deeper),
                Type::Truth => self.truth(deeper),
            },
        }
    }

    fn integer(&mut self, depth: usize) -> String {
        let left = self.any(Type::Integer, depth);
        match self.random.below(9) {
            0..=3 => format!(
                "({left} {} {})",
                self.random.of(&["+", "-", "*"]),
                self.any(Type::Integer, depth)
            ),
            4 => format!("({left} ⟦/¦//⟧ {})", self.random.of(&["2", "3", "-2", "7"])),
            5 => format!("({left} % {})", self.random.of(&["2", "3", "-2", "7"])),
            6 => format!("abs({left})"),
            7 => format!("(-{left})"),
            _ => {
                let text = self.any(Type::Text, depth);
                let name = self.random.of(&["length", "octet", "strpos"]);
                match name {
                    "octet" => format!("⟦octet_length({text})¦strlen({text})⟧"),
                    "strpos" => format!("strpos({text}, {})", self.random.of(&["'a'", "'b'", "' '"])),
                    _ => format!("length({text})"),
                }
            }
        }
    }

    fn float(&mut self, depth: usize) -> String {
        let left = self.any(Type::Float, depth);
        match self.random.below(6) {
            0..=2 => format!(
                "({left} {} {})",
                self.random.of(&["+", "-", "*"]),
                self.any(Type::Float, depth)
            ),
            3 => format!("({left} / {})", self.random.of(&["2.0", "-4.0", "0.5"])),
            4 => format!("{}({left})", self.random.of(&["floor", "ceil", "abs"])),
            _ => format!("CAST({} AS DOUBLE)", self.any(Type::Integer, depth)),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        let text = self.any(Type::Text, depth);
        match self.random.below(9) {
            0 => format!("upper({text})"),
            1 => format!("lower({text})"),
            2 => format!("({text} || {})", self.any(Type::Text, depth)),
            3 => format!("concat({text}, {})", self.any(Type::Text, depth)),
            4 => format!(
                "substr({text}, {}, {})",
                1 + self.random.below(3),
                self.random.below(3)
            ),
            5 => format!("replace({text}, 'a', {})", self.random.of(&["''", "'xy'", "'b'"])),
            6 => format!("{}({text})", self.random.of(&["trim", "reverse", "ltrim"])),
            7 => format!(
                "{}({text}, {})",
                self.random.of(&["left", "right"]),
                self.random.below(3)
            ),
            _ => format!("CAST({} AS VARCHAR)", self.any(Type::Integer, depth)),
        }
    }

    pub(super) fn truth(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.comparison(0);
        }
        let deeper = depth - 1;
        match self.random.below(12) {
            0 | 1 => format!("({} AND {})", self.truth(deeper), self.truth(deeper)),
            2 | 3 => format!("({} OR {})", self.truth(deeper), self.truth(deeper)),
            4 => format!("(NOT {})", self.truth(deeper)),
            5 => format!(
                "({} {})",
                self.truth(deeper),
                self.random.of(&[
                    "IS NULL",
                    "IS NOT NULL",
                    "IS TRUE",
                    "IS NOT TRUE",
                    "IS FALSE",
                    "IS NOT FALSE"
                ])
            ),
            6 => self.two_lists(),
            7 => self.column(Type::Truth),
            _ => self.comparison(deeper),
        }
    }

    /// Two lists on one column, which a rule might put together.
    fn two_lists(&mut self) -> String {
        let column = self.column(Type::Integer);
        let (left, right) = (self.list_of(&column), self.list_of(&column));
        let both = self.random.of(&["AND", "OR"]);
        format!("({left} {both} {right})")
    }

    fn list_of(&mut self, column: &str) -> String {
        if self.random.once_in(4) {
            let equals: Vec<String> = (0..=self.random.below(5))
                .map(|_| format!("{column} = {}", self.random.integer()))
                .collect();
            return format!("({})", equals.join(" OR "));
        }
        let items: Vec<String> = (0..=self.random.below(5))
            .map(|_| match self.random.below(9) {
                0 => "NULL".to_owned(),
                1 => self.column(Type::Integer),
                _ => self.random.integer().to_string(),
            })
            .collect();
        let not = self.random.of(&["", "NOT "]);
        format!("{column} {not}IN ({})", items.join(", "))
    }

    fn comparison(&mut self, depth: usize) -> String {
        let kind = *self.random.of(&[
            &Type::Integer,
            &Type::Integer,
            &Type::Float,
            &Type::Text,
            &Type::Truth,
        ]);
        let left = self.any(kind, depth);
        match self.random.below(10) {
            0 => format!("({left} IS {}NULL)", self.random.of(&["", "NOT "])),
            1 => format!(
                "({left} IS {}DISTINCT FROM {})",
                self.random.of(&["", "NOT "]),
                self.any(kind, depth)
            ),
            2 => format!(
                "({left} {}BETWEEN {} AND {})",
                self.random.of(&["", "NOT "]),
                self.any(kind, depth),
                self.any(kind, depth)
            ),
            3 => {
                let column = self.column(Type::Integer);
                format!("({})", self.list_of(&column))
            }
            4 => format!(
                "({} {}LIKE {})",
                self.any(Type::Text, depth),
                self.random.of(&["", "NOT "]),
                self.random
                    .of(&["'a%'", "'%b'", "'_'", "'%'", "'a'", "'%%'", "''", "'_%'"])
            ),
            _ => format!(
                "({left} {} {})",
                self.random.of(&["=", "<>", "<", "<=", ">", ">="]),
                self.any(kind, depth)
            ),
        }
    }
}
