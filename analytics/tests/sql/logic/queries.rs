//! Random queries over three small tables.

use super::expressions::{Column, Expressions, Type};
use super::random::Random;

/// The tables with their columns.
pub(super) const TABLES: [(&str, &[(&str, Type)]); 3] = [
    (
        "t",
        &[
            ("a", Type::Integer),
            ("b", Type::Integer),
            ("x", Type::Float),
            ("s", Type::Text),
            ("f", Type::Truth),
        ],
    ),
    (
        "u",
        &[("a", Type::Integer), ("d", Type::Integer), ("s", Type::Text)],
    ),
    (
        "w",
        &[("k", Type::Integer), ("v", Type::Integer), ("f", Type::Truth)],
    ),
];

/// A relation of a FROM with what it brings into scope.
struct From {
    sql: String,
    columns: Vec<Column>,
}

pub(super) struct Queries<'r> {
    random: &'r mut Random,
    aliases: usize,
}

impl<'r> Queries<'r> {
    pub(super) fn new(random: &'r mut Random) -> Self {
        Self { random, aliases: 0 }
    }

    /// A query whose answer does not depend on the order of rows.
    pub(super) fn query(&mut self) -> String {
        match self.random.below(15) {
            0..=2 => self.select(),
            3 | 4 => self.grouped(),
            5 | 6 => self.set_operation(),
            7 | 8 => self.windows(),
            9 => self.ordered_and_limited(),
            10 => self.ordered_aggregates(),
            11 => self.grouping_sets(),
            12 => self.nested(),
            13 => self.limited_window(),
            _ => self.select_of_scalars(),
        }
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("r{}", self.aliases)
    }

    fn expressions(&mut self, columns: &[Column]) -> Expressions<'_> {
        Expressions {
            random: self.random,
            columns: columns.to_vec(),
        }
    }

    fn table(&mut self) -> From {
        let (name, columns) = TABLES[self.random.below(TABLES.len())];
        let alias = self.alias();
        From {
            sql: format!("{name} AS {alias}"),
            columns: columns
                .iter()
                .map(|(column, kind)| Column {
                    name: format!("{alias}.{column}"),
                    kind: *kind,
                })
                .collect(),
        }
    }

    /// One table or a join.
    fn from(&mut self) -> From {
        let left = self.table();
        if self.random.once_in(2) {
            return left;
        }
        let right = self.table();
        let both: Vec<Column> = left.columns.iter().chain(&right.columns).cloned().collect();
        let join = self.random.of(&[
            "JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "⟦LEFT SEMI¦SEMI⟧ JOIN",
            "⟦LEFT ANTI¦ANTI⟧ JOIN",
            "CROSS JOIN",
        ]);
        let columns = if join.contains("SEMI") || join.contains("ANTI") {
            left.columns.clone()
        } else {
            both.clone()
        };
        if join == "CROSS JOIN" {
            return From {
                sql: format!("{} CROSS JOIN {}", left.sql, right.sql),
                columns,
            };
        }
        let mut condition = format!(
            "{} = {}",
            self.expressions(&left.columns).column(Type::Integer),
            self.expressions(&right.columns).column(Type::Integer)
        );
        if self.random.once_in(3) {
            condition = format!("{condition} AND {}", self.expressions(&both).truth(1));
        }
        if self.random.once_in(8) {
            condition = format!(
                "({})",
                condition
                    .replacen(" = ", " IS NOT DISTINCT FROM ", 1)
                    .replacen(" AND ", ") AND (", 1)
            );
        }
        From {
            sql: format!("{} {join} {} ON {condition}", left.sql, right.sql),
            columns,
        }
    }

    /// A condition with a subquery, on the columns in scope.
    fn subquery_condition(&mut self, outer: &[Column]) -> String {
        let inner = self.table();
        let item = self.expressions(&inner.columns).any(Type::Integer, 1);
        let tested = self.expressions(outer).any(Type::Integer, 1);
        let mut conditions = Vec::new();
        if self.random.once_in(2) {
            conditions.push(self.expressions(&inner.columns).truth(1));
        }
        if self.random.once_in(2) {
            let operator = self.random.of(&["=", "=", "=", "<", "<>"]);
            conditions.push(format!(
                "{} {operator} {}",
                self.expressions(&inner.columns).column(Type::Integer),
                self.expressions(outer).column(Type::Integer)
            ));
        }
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        let not = self.random.of(&["", "NOT "]);
        let from = inner.sql;
        match self.random.below(9) {
            0..=3 => format!("{tested} {not}IN (SELECT {item} FROM {from}{filter})"),
            4 => format!("{not}EXISTS (SELECT {item} FROM {from}{filter})"),
            5 => format!(
                "{tested} {} (SELECT {}({item}) FROM {from}{filter})",
                self.random.of(&["=", "<>", "<", ">="]),
                self.random.of(&["max", "min", "count", "sum"])
            ),
            6 => format!(
                "{tested} {} {} (SELECT {item} FROM {from}{})",
                self.random.of(&["=", "<>", "<", ">="]),
                self.random.of(&["ANY", "ALL"]),
                if filter.contains("r1.") { "" } else { &filter }
            ),
            7 => format!("{tested} {not}IN (SELECT count({item}) FROM {from}{filter})"),
            _ => format!("{not}EXISTS (SELECT max({item}) FROM {from}{filter})"),
        }
    }

    fn filter(&mut self, columns: &[Column]) -> String {
        if self.random.once_in(4) {
            return String::new();
        }
        let mut condition = if self.random.once_in(3) {
            self.subquery_condition(columns)
        } else {
            self.expressions(columns).truth(3)
        };
        if self.random.once_in(3) {
            let other = if self.random.once_in(2) {
                self.subquery_condition(columns)
            } else {
                self.expressions(columns).truth(1)
            };
            condition = match self.random.below(4) {
                0 => format!("({condition}) OR ({other})"),
                1 => format!("({condition} OR {other}) IS NOT TRUE"),
                2 => format!("CASE WHEN {condition} THEN {other} ELSE NOT ({other}) END"),
                _ => format!("({condition}) AND ({other})"),
            };
        }
        format!(" WHERE {condition}")
    }

    fn some_types(&mut self) -> Vec<Type> {
        let kinds = [Type::Integer, Type::Float, Type::Text, Type::Truth];
        (0..=self.random.below(2))
            .map(|_| kinds[self.random.below(4)])
            .collect()
    }

    fn items(&mut self, columns: &[Column], kinds: &[Type]) -> String {
        let items: Vec<String> = kinds
            .iter()
            .enumerate()
            .map(|(index, kind)| format!("{} AS c{index}", self.expressions(columns).any(*kind, 2)))
            .collect();
        items.join(", ")
    }

    fn select_of(&mut self, kinds: &[Type]) -> String {
        let from = self.from();
        let filter = self.filter(&from.columns);
        let distinct = self.random.of(&["", "", "", "DISTINCT "]);
        format!(
            "SELECT {distinct}{} FROM {}{filter}",
            self.items(&from.columns, kinds),
            from.sql
        )
    }

    fn select(&mut self) -> String {
        let kinds = self.some_types();
        self.select_of(&kinds)
    }

    fn aggregate(&mut self, columns: &[Column]) -> String {
        let distinct = self.random.of(&["", "", "DISTINCT "]);
        let aggregate = match self.random.below(9) {
            0 => "count(*)".to_owned(),
            1 => format!(
                "count({distinct}{})",
                self.expressions(columns).any(Type::Text, 1)
            ),
            2 => format!(
                "sum({distinct}{})",
                self.expressions(columns).any(Type::Integer, 1)
            ),
            3 => format!(
                "avg({distinct}{})",
                self.expressions(columns).any(Type::Integer, 1)
            ),
            4 => format!("min({})", self.expressions(columns).any(Type::Text, 1)),
            5 => format!("max({})", self.expressions(columns).any(Type::Float, 1)),
            6 => format!("bool_and({})", self.expressions(columns).truth(1)),
            7 => format!("bool_or({})", self.expressions(columns).truth(1)),
            _ => format!(
                "count({distinct}{})",
                self.expressions(columns).any(Type::Integer, 1)
            ),
        };
        if self.random.once_in(4) {
            format!(
                "{aggregate} FILTER (WHERE {})",
                self.expressions(columns).truth(1)
            )
        } else {
            aggregate
        }
    }

    fn grouped(&mut self) -> String {
        let from = self.from();
        let filter = self.filter(&from.columns);
        let (one, two) = (self.aggregate(&from.columns), self.aggregate(&from.columns));
        if self.random.once_in(3) {
            return format!("SELECT {one} AS c0, {two} AS c1 FROM {}{filter}", from.sql);
        }
        let kind = *self.random.of(&[&Type::Integer, &Type::Text, &Type::Truth]);
        let key = self.expressions(&from.columns).any(kind, 1);
        let having = if self.random.once_in(3) {
            format!(
                " HAVING {} > {}",
                self.random.of(&["count(*)", "max(1)"]),
                self.random.below(3)
            )
        } else {
            String::new()
        };
        format!(
            "SELECT g, c1, c2 FROM (SELECT {key} AS g, {one} AS c1, {two} AS c2 FROM {}{filter} GROUP BY 1{having}) AS q",
            from.sql
        )
    }

    fn grouping_sets(&mut self) -> String {
        let from = self.table();
        let filter = self.filter(&from.columns);
        let one = self.aggregate(&from.columns);
        let left = self.expressions(&from.columns).column(Type::Integer);
        let right = self.expressions(&from.columns).column(Type::Text);
        let sets = match self.random.below(3) {
            0 => format!("ROLLUP ({left}, {right})"),
            1 => format!("CUBE ({left}, {right})"),
            _ => format!("GROUPING SETS (({left}), ({left}, {right}), ())"),
        };
        if !left.contains('.') || !right.contains('.') {
            return format!("SELECT {one} AS c FROM {}{filter}", from.sql);
        }
        format!(
            "SELECT {left} AS g, {right} AS h, {one} AS c FROM {}{filter} GROUP BY {sets}",
            from.sql
        )
    }

    fn set_operation(&mut self) -> String {
        let kinds = self.some_types();
        let mut sql = format!("({})", self.select_of(&kinds));
        for _ in 0..=self.random.below(2) {
            let operation = self.random.of(&[
                "UNION",
                "UNION ALL",
                "INTERSECT",
                "INTERSECT ALL",
                "EXCEPT",
                "EXCEPT ALL",
            ]);
            sql = format!("({sql} {operation} ({}))", self.select_of(&kinds));
        }
        format!("SELECT * FROM {sql} AS q")
    }

    fn window(&mut self, columns: &[Column]) -> String {
        let order = format!(
            "{} {} NULLS {}",
            self.expressions(columns).column(Type::Integer),
            self.random.of(&["ASC", "DESC"]),
            self.random.of(&["FIRST", "LAST"])
        );
        // All columns: rows that are equal by them are equal.
        let all: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let total = format!("{order}, {}", all.join(" NULLS LAST, ")) + " NULLS LAST";
        let kind = *self.random.of(&[&Type::Integer, &Type::Text, &Type::Truth]);
        let partition = if self.random.once_in(2) {
            format!("PARTITION BY {} ", self.expressions(columns).any(kind, 1))
        } else {
            String::new()
        };
        let rows = self.random.of(&[
            "",
            " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
            " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            " ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
        ]);
        let range = self.random.of(&[
            "",
            " RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING",
            " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
        ]);
        let value = self.expressions(columns).any(Type::Integer, 1);
        let steps = 1 + self.random.below(3);
        match self.random.below(8) {
            0 => format!("row_number() OVER ({partition}ORDER BY {total})"),
            1 => format!(
                "{}() OVER ({partition}ORDER BY {order})",
                self.random.of(&["rank", "dense_rank"])
            ),
            2 => {
                let name = self.random.of(&["lead", "lag"]);
                let default = self.random.of(&["", ", CAST(-9 AS BIGINT)"]);
                if self.random.once_in(2) {
                    format!("{name}({value}, {steps}{default}) OVER ({partition}ORDER BY {total})")
                } else {
                    format!(
                        "{name}({value}, {steps}{default}⟦¦ IGNORE NULLS⟧)⟦ IGNORE NULLS¦⟧ OVER ({partition}ORDER BY {total})"
                    )
                }
            }
            3 => {
                let name = self.random.of(&["first_value", "last_value", "nth_value"]);
                let nth = if name == "nth_value" {
                    format!(", {steps}")
                } else {
                    String::new()
                };
                let nulls = self.random.of(&["", "⟦¦ IGNORE NULLS⟧"]);
                let after = if nulls.is_empty() {
                    ""
                } else {
                    "⟦ IGNORE NULLS¦⟧"
                };
                format!("{name}({value}{nth}{nulls}){after} OVER ({partition}ORDER BY {total}{rows})")
            }
            4 => format!(
                "{}({value}) OVER ({partition}ORDER BY {order}{range})",
                self.random.of(&["sum", "count", "min", "max", "avg"])
            ),
            5 => format!(
                "{}({value}) OVER ({partition}ORDER BY {total}{rows})",
                self.random.of(&["sum", "count", "min", "max", "avg"])
            ),
            6 => format!(
                "{}(DISTINCT {value}) OVER ({partition})",
                self.random.of(&["sum", "count"])
            ),
            _ => format!("{} OVER ({partition})", self.random.of(&["count(*)", "sum(1)"])),
        }
    }

    fn windows(&mut self) -> String {
        let from = self.from();
        let filter = self.filter(&from.columns);
        // One: of rows that are equal, two windows may each take another one first.
        let window = self.window(&from.columns);
        let key = self.expressions(&from.columns).column(Type::Integer);
        let distinct = self.random.of(&["", "", "DISTINCT "]);
        let limit = self.random.of(&["", "", " LIMIT 1000"]);
        format!(
            "SELECT {distinct}{key} AS c0, {window} AS c1 FROM {}{filter}{limit}",
            from.sql
        )
    }

    /// A window of which only the first rows are wanted, in its own order.
    fn limited_window(&mut self) -> String {
        let from = self.table();
        let all: Vec<String> = from
            .columns
            .iter()
            .map(|column| {
                let (direction, nulls) = (
                    self.random.of(&["ASC", "DESC"]),
                    self.random.of(&["FIRST", "LAST"]),
                );
                format!("{} {direction} NULLS {nulls}", column.name)
            })
            .collect();
        let total = all.join(", ");
        let value = self.expressions(&from.columns).column(Type::Integer);
        let steps = 1 + self.random.below(3);
        let function = match self.random.below(6) {
            0 => format!("lead({value}, {steps})"),
            1 => format!("lead({value}, {steps}⟦¦ IGNORE NULLS⟧)⟦ IGNORE NULLS¦⟧"),
            2 => format!("lag({value}, -{steps})"),
            3 => format!("nth_value({value}, {steps})"),
            4 => format!(
                "{}({value})",
                self.random
                    .of(&["sum", "count", "max", "first_value", "last_value"])
            ),
            _ => "row_number()".to_owned(),
        };
        let frame = self.random.of(&[
            "",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
            " ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING",
            " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
        ]);
        let names: Vec<String> = from
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| format!("{} AS k{index}", column.name))
            .collect();
        format!(
            "SELECT {}, {function} OVER (ORDER BY {total}{frame}) AS c FROM {} ORDER BY {total} LIMIT {}",
            names.join(", "),
            from.sql,
            1 + self.random.below(4)
        )
    }

    fn ordered_and_limited(&mut self) -> String {
        let kinds = self.some_types();
        let inner = self.select_of(&kinds);
        let keys: Vec<String> = (0..kinds.len())
            .map(|index| {
                format!(
                    "c{index} {} NULLS {}",
                    self.random.of(&["ASC", "DESC"]),
                    self.random.of(&["FIRST", "LAST"])
                )
            })
            .collect();
        let offset = if self.random.once_in(3) {
            format!(" OFFSET {}", self.random.below(4))
        } else {
            String::new()
        };
        format!(
            "SELECT * FROM ({inner}) AS q ORDER BY {} LIMIT {}{offset}",
            keys.join(", "),
            self.random.below(6)
        )
    }

    fn ordered_aggregates(&mut self) -> String {
        let from = self.table();
        let filter = self.filter(&from.columns);
        let mut one = || {
            let column = self.expressions(&from.columns).column(Type::Integer);
            let direction = self.random.of(&["ASC", "DESC"]);
            let nulls = self.random.of(&["FIRST", "LAST"]);
            let order = format!("{column} {direction} NULLS {nulls}");
            match self.random.below(4) {
                0 => format!("array_agg({column} ORDER BY {order})"),
                1 => format!("array_agg(DISTINCT {column} ORDER BY {order})"),
                2 => format!("string_agg(CAST({column} AS VARCHAR), ',' ORDER BY {order})"),
                _ => format!(
                    "{}({column} ORDER BY {order})",
                    self.random.of(&["⟦first_value¦first⟧", "⟦last_value¦last⟧"])
                ),
            }
        };
        let (left, right) = (one(), one());
        let key = self.expressions(&from.columns).column(Type::Integer);
        if self.random.once_in(2) || !key.contains('.') {
            format!("SELECT {left} AS c0, {right} AS c1 FROM {}{filter}", from.sql)
        } else {
            format!(
                "SELECT {key} AS g, {left} AS c0, {right} AS c1 FROM {}{filter} GROUP BY {key}",
                from.sql
            )
        }
    }

    /// A query over a query, plain or named.
    fn nested(&mut self) -> String {
        let kinds = self.some_types();
        let inner = self.select_of(&kinds);
        let columns: Vec<Column> = kinds
            .iter()
            .enumerate()
            .map(|(index, kind)| Column {
                name: format!("q.c{index}"),
                kind: *kind,
            })
            .collect();
        let filter = self.filter(&columns);
        let items = self.items(&columns, &kinds);
        if self.random.once_in(2) {
            format!("WITH q AS ({inner}) SELECT {items} FROM q{filter}")
        } else {
            format!("SELECT {items} FROM ({inner}) AS q{filter}")
        }
    }

    fn select_of_scalars(&mut self) -> String {
        let from = self.table();
        let inner = self.table();
        let filter = self.filter(&from.columns);
        let column = self.expressions(&from.columns).column(Type::Integer);
        let value = self.expressions(&inner.columns).any(Type::Integer, 1);
        let condition = format!(
            "{} = {}",
            self.expressions(&inner.columns).column(Type::Integer),
            self.expressions(&from.columns).column(Type::Integer)
        );
        format!(
            "SELECT {column} AS c0, (SELECT {}({value}) FROM {} WHERE {condition}) AS c1 FROM {}{filter}",
            self.random.of(&["max", "min", "count", "sum"]),
            inner.sql,
            from.sql
        )
    }
}
