//! The scalar functions: how large an answer can get, and how much work is in one call.

use super::work::Work;
use crate::sql::bounds::value_bounds::Growth;

/// How an answer grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// Of a size that no argument changes, such as a number or a hash.
    Small,
    /// About as long as its arguments at most.
    NoLonger,
    /// As the variant tells; added up before each call, a value and a batch have a cap each.
    Grows(Growth),
}

/// One function of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) answer: Answer,
    pub(crate) work: Work,
}

use Answer::{Grows, NoLonger, Small};
use Work::{Edits, Items, Linear, LinearInPieces, Pattern, Texts, TypeText};

#[rustfmt::skip]
const LIST: &[(Answer, Work, &[&str])] = &[
    // Numbers, times and truths: a step a row.
    (Small, Linear, &[
        "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh", "cot", "degrees",
        "exp", "factorial", "floor", "gcd", "isnan", "iszero", "lcm", "ln", "log", "log10", "log2", "nanvl", "pi", "power",
        "radians", "random", "round", "signum", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
        "current_date", "current_time", "date_bin", "date_part", "date_trunc", "from_unixtime", "make_date", "make_time",
        "now", "to_local_time", "uuid",
    ]),
    // One pass over what they are given.
    (Small, Linear, &[
        "ascii", "bit_length", "character_length", "chr", "ends_with", "octet_length", "starts_with", "to_hex",
        "arrow_typeof", "version",
        "to_date", "to_time", "to_timestamp", "to_timestamp_seconds", "to_timestamp_millis", "to_timestamp_micros",
        "to_timestamp_nanos", "to_unixtime",
        "array_length", "array_ndims", "array_dims", "cardinality", "empty",
    ]),
    // Answers that are a part of an argument, or one of them.
    (NoLonger, Linear, &[
        "coalesce", "get_field", "greatest", "least", "nullif", "nvl", "nvl2", "arrow_metadata",
        "lower", "upper", "initcap", "left", "right", "reverse", "substr",
        "array_element", "array_slice", "array_pop_back", "array_pop_front", "array_any_value", "array_reverse", "flatten",
        "map_keys", "map_values", "map_entries",
    ]),
    // The same over long texts and lists, where one batch is some seconds: cut, with a look at the flag between.
    (Small, LinearInPieces, &[
        "find_in_set", "contains", "array_has", "array_max", "array_min", "array_sum", "array_avg", "array_product",
        "array_position", "cosine_distance", "inner_product", "array_distance",
    ]),
    (NoLonger, LinearInPieces, &[
        "split_part", "substr_index", "translate", "array_add", "array_subtract", "array_scale", "array_normalize",
        "array_compact", "array_distinct", "array_except", "array_intersect", "array_positions", "array_remove",
        "array_remove_all", "array_remove_n", "array_sort", "map_extract",
    ]),
    // Letters or items of one argument times those of the other.
    (Small, Texts, &["strpos"]),
    (Small, Edits, &["levenshtein"]),
    (NoLonger, Texts, &["btrim", "ltrim", "rtrim"]),
    (Small, Items, &["array_has_all", "array_has_any"]),
    // A pattern.
    (Small, Pattern, &["regexp_like", "regexp_count", "regexp_instr"]),
    (NoLonger, Pattern, &["regexp_match"]),
    (Grows(Growth::ReplacePattern), Pattern, &["regexp_replace"]),
    // The name of a type.
    (NoLonger, TypeText, &["arrow_cast", "arrow_try_cast"]),
    // Much out of little.
    (Grows(Growth::Repeat), LinearInPieces, &["repeat", "array_repeat"]),
    (Grows(Growth::Pad), LinearInPieces, &["lpad", "rpad"]),
    (Grows(Growth::Resize), LinearInPieces, &["array_resize"]),
    (Grows(Growth::Series), LinearInPieces, &["generate_series", "range"]),
    (Grows(Growth::Replace), LinearInPieces, &["replace"]),
    (Grows(Growth::ReplaceItem), LinearInPieces, &["array_replace", "array_replace_all", "array_replace_n"]),
    (Grows(Growth::Sum), LinearInPieces, &[
        "array_append", "array_concat", "array_prepend", "array_union", "arrays_zip", "concat", "make_array", "map",
        "named_struct", "overlay", "struct",
    ]),
    (Grows(Growth::SumSeparated), LinearInPieces, &["concat_ws"]),
    (Grows(Growth::ListText), LinearInPieces, &["array_to_string"]),
    (Grows(Growth::Split), LinearInPieces, &["string_to_array"]),
    (Grows(Growth::Doubled), LinearInPieces, &["encode", "decode"]),
    (Grows(Growth::Format), LinearInPieces, &["to_char"]),
];

pub(super) fn entry(name: &str) -> Option<Entry> {
    LIST.iter().find_map(|(answer, work, names)| {
        names.iter().find(|known| **known == name).map(|name| Entry {
            name,
            answer: *answer,
            work: *work,
        })
    })
}

/// Every name of the list. Functions of ours are not in it: they keep their own bounds.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LIST.iter().flat_map(|(_, _, names)| names.iter().copied())
}
