# The same commands by hand as in CI. `just` alone lists them.

# the list of recipes
default:
    @just --list

# format and clippy
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# all set-up and all tests; `just test --fast` for those without Kafka, data and browser
test *arguments:
    ./test {{arguments}}

# a simulated typhoon day over an invented city
demo *arguments:
    cargo run --release -- demo {{arguments}}

# every question of benches/, one after the other; `just bench --bench restart` asks one. Kafka as for the tests
bench *arguments="--bench '*'":
    cargo build --release --locked
    cargo bench --package riskgrid-benches --locked {{arguments}}

# kill -9 of the release build at random moments, on the journal and on Kafka, and every cell counted again
crash kills="30" events="2000000":
    ./test --setup
    cargo build --release --locked
    RISKGRID_BIN="$(realpath "${CARGO_TARGET_DIR:-target}/release/riskgrid")" RISKGRID_CRASH_KILLS={{kills}} RISKGRID_CRASH_EVENTS={{events}} \
        RISKGRID_TEST_KAFKA="${RISKGRID_TEST_KAFKA-$PWD/fixtures/kafka/kafka}" \
        cargo test --workspace --locked --test it --test kafka every_cell_survives_kills -- --nocapture --test-threads=1

# random bytes into a decoder (`cloudevent`, `feed`) or the reader of checkpoints (`checkpoint`), led by what they reach
fuzz target="cloudevent" seconds="120":
    mkdir -p target/fuzz/corpus/{{target}}
    CARGO_TARGET_DIR="$PWD/target/fuzz" \
        RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
        cargo run --release --locked --manifest-path ingest/fuzz/Cargo.toml --bin {{target}} --target "$(rustc -vV | sed -n 's/^host: //p')" -- \
        -max_total_time={{seconds}} -max_len=4096 -artifact_prefix=target/fuzz/ target/fuzz/corpus/{{target}} ingest/fuzz/seeds/{{target}}

# random queries against DuckDB, some minutes of them; another seed gives others, and the seed is printed
logic queries="20000" seed=`date +%s`:
    ./test --setup
    @echo "seed {{seed}}"
    RISKGRID_PYTHON="${RISKGRID_PYTHON-$PWD/.venv/bin/python}" RISKGRID_LOGIC_QUERIES={{queries}} RISKGRID_LOGIC_SEED={{seed}} \
        cargo test --package riskgrid-analytics --locked --test sql random_queries -- --nocapture

# licences, bans, sources and advisories; installs cargo-deny at the first time (about 2 minutes on two cores)
deny:
    command -v cargo-deny > /dev/null || cargo install cargo-deny --locked --version 0.20.2
    cargo deny check
