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

# golden files get what is answered now, where that is something else; read the difference before it is committed
bless:
    RISKGRID_BLESS=1 cargo test --workspace --locked --test sql --test tables golden_files
    git diff --stat -- '*.slt'

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

# random bytes into one target, led by what they reach: of crate ingest `cloudevent`, `feed`, `mapping`, `journal`,
# `checkpoint`; of crate api `tile_address`, `sql_parameters`, `accept`, `host`, `event_header`. A find goes into its folder of seeds: tests replay it
fuzz target="cloudevent" seconds="60" crate="ingest":
    mkdir -p target/fuzz/corpus/{{target}}
    CARGO_TARGET_DIR="$PWD/target/fuzz" \
        RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
        cargo run --release --locked --manifest-path {{crate}}/fuzz/Cargo.toml --bin {{target}} --target "$(rustc -vV | sed -n 's/^host: //p')" -- \
        -max_total_time={{seconds}} -max_len=4096 -artifact_prefix=target/fuzz/ target/fuzz/corpus/{{target}} {{crate}}/fuzz/seeds/{{target}}

# every fuzz target, a minute each; those of crate api compile DataFusion once more, with the flags of fuzzing
fuzz-all seconds="60":
    for target in cloudevent feed mapping journal checkpoint; do just fuzz "$target" {{seconds}} ingest || exit 1; done
    for target in tile_address sql_parameters accept host event_header; do just fuzz "$target" {{seconds}} api || exit 1; done

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
