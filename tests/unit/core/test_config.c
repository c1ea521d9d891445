/* test_config.c - run files against small tables of every kind of field: values, mistakes with their places, overrides,
   the way back. */
#include "test_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/rng.h"

/* ---- tables ---- */

typedef struct {
    double fraction;
    int64_t width;
} MaskConfig;
typedef struct {
    int64_t steps;
    double lr;
    bool shuffle;
    const char *name;
    int schedule;
    ConfigTexts bands;
    ConfigReals grid;
    MaskConfig mask;
    ConfigKind encoder;
} TrainConfig;
typedef struct {
    int64_t depth;
    const char *root;
} VitConfig;
typedef struct {
    double dropout;
    const char *weights;
} CnnConfig;
typedef struct {
    const char *output;
    int64_t ranks;
} RunSection;

static const char *const schedules[] = {"cosine", "constant", NULL}, *const bands[] = {"g", "r", "z", NULL};
static const ConfigField mask_fields[] = {FIELD_REAL(MaskConfig, fraction, "0.3", 0, 0.9, RESULT, "share hidden"),
                                          FIELD_INT(MaskConfig, width, "30", 1, 1e6, RESULT, "pixels hidden together"),
                                          FIELD_END};
static const ConfigField vit_fields[] = {FIELD_INT(VitConfig, depth, "24", 1, 100, RESULT, "blocks"),
                                         FIELD_TEXT(VitConfig, root, "", EFFORT, "folder"), FIELD_END};
static const ConfigField cnn_fields[] = {FIELD_REAL(CnnConfig, dropout, "0.1", 0, 1, RESULT, "share of units dropped"),
                                         FIELD_TEXT(CnnConfig, weights, NULL, RESULT, "file of weights"), FIELD_END};

static Status vit_check(const void *config)
{
    const VitConfig *v = config;
    return v->depth % 2 ? FAIL(E_CONFIG, "encoder.depth: %d is odd", (int)v->depth) : OK;
}
static Status train_check(const void *config)
{
    const TrainConfig *t = config;
    return t->steps < t->mask.width ? FAIL(E_CONFIG, "train.steps is below train.mask.width") : OK;
}

static const ConfigPlugin vit = {"vit", "vision transformer", vit_fields, sizeof(VitConfig), vit_check};
static const ConfigPlugin cnn = {"cnn", "convolutions", cnn_fields, sizeof(CnnConfig), NULL};
static const ConfigPlugin *const encoders[] = {&vit, &cnn, NULL};

static const ConfigField train_fields[] = {FIELD_INT(TrainConfig, steps, NULL, 1, 1e9, RESULT, "optimiser steps"),
                                           FIELD_REAL(TrainConfig, lr, "1e-4", 0, 1, RESULT, "peak learning rate"),
                                           FIELD_BOOL(TrainConfig, shuffle, "true", RESULT, "mix the rows"),
                                           FIELD_TEXT(TrainConfig, name, "", EFFORT, "for the log"),
                                           FIELD_CHOICE(TrainConfig, schedule, "cosine", schedules, RESULT,
                                                        "learning-rate schedule"),
                                           FIELD_TEXTS(TrainConfig, bands, "[g, r, z]", bands, RESULT, "bands used"),
                                           FIELD_REALS(TrainConfig, grid, "[0.5, 1e3]", 0, 1e6, RESULT,
                                                       "strengths tried"),
                                           FIELD_GROUP(TrainConfig, mask, mask_fields, "what is hidden"),
                                           FIELD_KIND(TrainConfig, encoder, "vit", encoders, "the network"),
                                           FIELD_END};
static const ConfigField run_fields[] = {FIELD_TEXT(RunSection, output, "runs", EFFORT, "folder of all artefacts"),
                                         FIELD_INT(RunSection, ranks, "2", 0, 0, EFFORT, "processes"), FIELD_END};
static const ConfigSection train_section = {"train", "the optimiser", train_fields, sizeof(TrainConfig), train_check};
static const ConfigSection run_section_here = {"run", "the whole run", run_fields, sizeof(RunSection), NULL};
static const ConfigSection *const sections[] = {&run_section_here, &train_section, NULL};

/* ---- helpers ---- */

enum { MAX_SET = 8 };
static Config *config;

static Status parse_set(const char *text, const char *const *set)
{
    int n = 0;
    while (set && set[n]) n++;
    config = NULL;
    return config_parse(&config, "run.yaml", text, strlen(text), set, n, sections, NULL, &test_arena);
}

static const TrainConfig *train(const char *text, const char *const *set)
{
    Status st = parse_set(text, set);
    CHECK_OK(st);
    if (st != OK) exit(1); /* the rest of the test would read nothing */
    return config_get(config, &train_section);
}

/* The file fails, and each text (NULL-terminated) is a part of the message. */
static void fails_with(const char *text, const char *const *set, const char *const *parts)
{
    CU_ASSERT_EQUAL(parse_set(text, set), E_CONFIG);
    for (; *parts; parts++) {
        bool there = strstr(fail_record()->text, *parts) != NULL;
        if (!there) printf("missing in the message: %s\nthe message: %s\n", *parts, fail_record()->text);
        CU_ASSERT(there);
    }
    fail_clear();
}

#define PARTS(...)   ((const char *const[]){__VA_ARGS__, NULL})
#define SET(...)     ((const char *const[]){__VA_ARGS__, NULL})
#define ONE(message) PARTS("1 mistake in run.yaml\n  " message)

/* ---- values ---- */

static void an_empty_file_gives_the_defaults(void)
{
    static const char *const texts[] = {"", "# nothing\n", "---\n", "{}\n", "run:\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const TrainConfig *t = train(texts[i], NULL);
        CU_ASSERT(t->lr == 1e-4 && t->shuffle && t->schedule == 0 && t->mask.fraction == 0.3 && t->mask.width == 30);
        CU_ASSERT(t->bands.n == 3 && strcmp(t->bands.item[2], "z") == 0 && t->grid.n == 2 && t->grid.item[1] == 1000);
        CU_ASSERT(t->encoder.plugin == &vit && ((const VitConfig *)t->encoder.config)->depth == 24);
        CU_ASSERT_STRING_EQUAL(t->name, "");
        CU_ASSERT(!config_has(config, &train_section) && !config_has(config, &run_section_here));
    }
}

static void every_type_of_field_is_read(void)
{
    const TrainConfig *t = train("train:\n"
                                 "  steps: +100\n"
                                 "  lr: 3e-4\n"
                                 "  shuffle: false\n"
                                 "  name: \"a: #b\"\n"
                                 "  schedule: constant\n"
                                 "  bands:\n    - r\n    - 'g'\n"
                                 "  grid: 7\n"
                                 "  mask: {fraction: .5, width: 012}\n"
                                 "  encoder: {kind: cnn, weights: w.pt}\n",
                                 NULL);
    CU_ASSERT(t->steps == 100 && t->lr == 3e-4 && !t->shuffle && t->schedule == 1);
    CU_ASSERT_STRING_EQUAL(t->name, "a: #b");
    CU_ASSERT(t->bands.n == 2 && strcmp(t->bands.item[0], "r") == 0 && strcmp(t->bands.item[1], "g") == 0);
    CU_ASSERT(t->grid.n == 1 && t->grid.item[0] == 7 && t->mask.fraction == 0.5 && t->mask.width == 12);
    CU_ASSERT_PTR_EQUAL(t->encoder.plugin, &cnn);
    const CnnConfig *c = t->encoder.config;
    CU_ASSERT(c->dropout == 0.1 && strcmp(c->weights, "w.pt") == 0);
    CU_ASSERT(config_has(config, &train_section) && !config_has(config, &run_section_here));
}

/* ---- mistakes ---- */

static void all_mistakes_come_at_once_in_the_order_of_the_file(void)
{
    fails_with("train:\n  steps: 100\n  stpes: 100\n  lr: 1\n  lr: 2\n  schedule: linear\nrum:\n  x: 1\n", NULL,
               PARTS("4 mistakes in run.yaml\n"
                     "  run.yaml:3:3: unknown key 'stpes', did you mean 'steps'?\n"
                     "  run.yaml:5:3: 'lr' is already set on line 4\n"
                     "  run.yaml:6:13: schedule: 'linear' is not one of: cosine, constant\n"
                     "  run.yaml:7:1: unknown section 'rum', did you mean 'run'?"));
}

static void wrong_values_are_named(void)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"steps: 1e6", "run.yaml:2:10: steps: expected a whole number, found '1e6'"},
        {"steps: 12x", "run.yaml:2:10: steps: expected a whole number, found '12x'"},
        {"steps: 0x10", "run.yaml:2:10: steps: expected a whole number, found '0x10'"},
        {"steps: 1_000", "run.yaml:2:10: steps: expected a whole number, found '1_000'"},
        {"steps: 1.0", "run.yaml:2:10: steps: expected a whole number, found '1.0'"},
        {"steps: \"5\"", "run.yaml:2:10: steps: expected a whole number, found a text in quotes"},
        {"steps: [5]", "run.yaml:2:10: steps: expected a whole number, found a list"},
        {"steps: {a: 5}", "run.yaml:2:10: steps: expected a whole number, found keys"},
        {"steps:", "steps: no value; expected a whole number"},
        {"steps: ~", "run.yaml:2:10: steps: no value; expected a whole number"},
        {"steps: 0", "run.yaml:2:10: steps: 0 is out of range (1 .. 1000000000)"},
        {"steps: 99999999999999999999", "run.yaml:2:10: steps: 99999999999999999999 is too large"},
        {"lr: fast", "run.yaml:2:7: lr: expected a finite number, found 'fast'"},
        {"lr: .nan", "run.yaml:2:7: lr: expected a finite number, found '.nan'"},
        {"lr: inf", "run.yaml:2:7: lr: expected a finite number, found 'inf'"},
        {"lr: 0x1p-3", "run.yaml:2:7: lr: expected a finite number, found '0x1p-3'"},
        {"lr: 1e999", "run.yaml:2:7: lr: 1e999 is too large"},
        {"lr: 1.0e", "run.yaml:2:7: lr: expected a finite number, found '1.0e'"},
        {"lr: 1.5", "run.yaml:2:7: lr: 1.5 is out of range (0 .. 1)"},
        {"shuffle: yes", "run.yaml:2:12: shuffle: expected true or false, found 'yes'"},
        {"shuffle: True", "run.yaml:2:12: shuffle: expected true or false, found 'True'"},
        {"name:", "name: no value; expected a text (\"\" for none)"},
        {"name: [a]", "run.yaml:2:9: name: expected a text, found a list"},
        {"bands: [g, i]", "run.yaml:2:14: bands: 'i' is not one of: g, r, z"},
        {"bands: {g: r}", "run.yaml:2:10: bands: expected a list, found keys"},
        {"grid: [1, [2]]", "run.yaml:2:13: grid: expected a number, found a list"},
        {"grid: [1, -2]", "run.yaml:2:13: grid: -2 is out of range (0 .. 1000000)"},
        {"mask: 3", "run.yaml:2:9: mask: expected keys below it"},
        {"mask: {with: 3}", "run.yaml:2:10: unknown key 'with', did you mean 'width'?"},
        {"encoder: vit", "run.yaml:2:12: encoder: expected keys below it, the first being kind"},
        {"encoder: {kind: vif}", "run.yaml:2:19: encoder: kind 'vif' is not one of: vit, cnn"},
        {"encoder: {kidn: vit}", "run.yaml:2:13: unknown key 'kidn', did you mean 'kind'?"},
        {"encoder: {dropout: 0.5}", "run.yaml:2:13: unknown key 'dropout'"},
        {"encoder: {kind: cnn}", "run.yaml:2:3: train.encoder.weights is required: file of weights"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        bool steps = strncmp(cases[i].line, "steps", 5) == 0;
        snprintf(text, sizeof text, "train:\n  %s\n%s", cases[i].line, steps ? "" : "  steps: 100\n");
        fails_with(text, NULL, PARTS("1 mistake in run.yaml\n  ", cases[i].message));
    }
}

static void what_yaml_offers_beyond_flat_text_is_refused(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"run: &a\n  output: x\n", "run.yaml:1:6: anchors and aliases (&a) are not used here"},
        {"run:\n  output: &a x\ntrain:\n  steps: 100\n  name: *a\n", "run.yaml:5:9: aliases (*a) are not used here"},
        {"run:\n  ranks: !!int 3\n", "run.yaml:2:10: tags (tag:yaml.org,2002:int) are not used here"},
        {"run:\n  <<: {ranks: 3}\n", "run.yaml:2:3: merge keys (<<) are not used here"},
        {"run:\n  ranks: 3\n---\nrun:\n  ranks: 4\n", "run.yaml:3:1: a second document"},
        {"run:\n  ? [a, b]\n  : 3\n", "run.yaml:2:5: a key must be a plain word"},
        {"run:\n  output: \"a\\0b\"\n", "run.yaml:2:11: a text cannot hold a NUL character"},
        {"- run\n- train\n", "run.yaml:1:1: expected sections"},
        {"just words\n", "run.yaml:1:1: expected sections"},
        {"run: [a, b]\n", "run.yaml:1:6: run: expected keys below it"},
        {"run:\n  output: \"open\n", "run.yaml:3:1: found unexpected end of stream"},
        {"run:\n\toutput: x\n", "run.yaml:2:1: found character that cannot start any token"},
        {"run:\n  output: a: b\n", "run.yaml:2:12: mapping values are not allowed"},
        {"run:\n  output: \xff\n", "run.yaml"},
        {"run: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n", "nested too deeply"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fails_with(cases[i].text, NULL, PARTS(cases[i].message));
}

static void twenty_are_shown_and_the_rest_counted(void)
{
    char text[4000] = "run:\n";
    for (int i = 0; i < 33; i++) sprintf(text + strlen(text), "  key%d: 1\n", i);
    fails_with(text, NULL, PARTS("33 mistakes in run.yaml", "run.yaml:21:3: unknown key 'key19'", "\n  and 13 more"));
    CU_ASSERT_EQUAL(parse_set(text, NULL), E_CONFIG);
    CU_ASSERT_PTR_NULL(strstr(fail_record()->text, "'key20'"));
    fail_clear();
}

static void very_long_names_are_cut_in_messages(void)
{
    char *text;
    CHECK_OK(arena_new(&text, &test_arena, 40000));
    strcpy(text, "run:\n  output: x\n  ");
    memset(text + strlen(text), 'a', 900);
    strcat(text, ": 1\nxxx:\n  a: 1\n");
    fails_with(text, NULL, PARTS("2 mistakes", "unknown key 'aaaaaaaaaa", "aaa...'", "unknown section 'xxx'"));
}

static void required_keys_are_asked_for_where_the_section_appears_or_is_needed(void)
{
    fails_with("run:\n  ranks: 3\ntrain:\n  lr: 0.1\n", NULL,
               ONE("run.yaml:3:1: train.steps is required: optimiser steps"));
    CHECK_OK(parse_set("run:\n  ranks: 3\n", NULL));
    CU_ASSERT_EQUAL(config_parse(&config, "run.yaml", "", 0, NULL, 0, sections, PARTS("run", "train"), &test_arena),
                    E_CONFIG);
    CU_ASSERT_STRING_EQUAL(fail_record()->text,
                           "1 mistake in run.yaml\n  run.yaml: train.steps is required: optimiser steps");
    fail_clear();
    fails_with("", SET("train.lr=0.5"), ONE("--set train.lr=0.5: train.steps is required"));
}

static void checks_run_on_good_sections_only_and_join_the_list(void)
{
    fails_with("run:\n  rnks: 1\ntrain:\n  steps: 10\n", NULL,
               PARTS("2 mistakes", "run.yaml:2:3: unknown key 'rnks', did you mean 'ranks'?",
                     "run.yaml:3:1: train.steps is below train.mask.width"));
    fails_with("train:\n  steps: 100\n  encoder:\n    depth: 3\n", NULL, ONE("run.yaml:3:3: encoder.depth: 3 is odd"));
    fails_with("train:\n  steps: 10\n  lr: x\n", NULL, ONE("run.yaml:3:7: lr: expected a finite number"));
    fails_with("train:\n  steps: 10\n  lr: 0.1\n  lr: 0.1\n", NULL, ONE("run.yaml:4:3: 'lr' is already set on line 3"));
}

/* ---- overrides ---- */

static void overrides_win_and_the_last_wins_most(void)
{
    const TrainConfig *t =
        train("train:\n  steps: 50\n  grid: [1, 2]\n",
              SET("train.steps=70", "train.lr=0.25", "train.steps=80", "train.grid=[3, 4.5]", "train.mask.width=9",
                  "train.bands=r", "train.name= *.fits # {x} ", "run.output=/data/a=b"));
    CU_ASSERT(t->steps == 80 && t->lr == 0.25 && t->grid.n == 2 && t->grid.item[1] == 4.5 && t->mask.width == 9);
    CU_ASSERT(t->bands.n == 1 && strcmp(t->bands.item[0], "r") == 0);
    CU_ASSERT_STRING_EQUAL(t->name, "*.fits # {x}");
    CU_ASSERT_STRING_EQUAL(((const RunSection *)config_get(config, &run_section_here))->output, "/data/a=b");
    CU_ASSERT(config_has(config, &run_section_here));
    t = train("train: {steps: 50, name: x, bands: [g]}", SET("train.name=", "train.bands=", "train.steps=+60"));
    CU_ASSERT(t->name[0] == '\0' && t->bands.n == 0 && t->steps == 60);
    t = train("train: {steps: 50, name: x}", SET("train.name=\" a\\tb\"", "train.bands=['g', \"z\"]"));
    CU_ASSERT_STRING_EQUAL(t->name, " a\tb");
    CU_ASSERT(t->bands.n == 2 && strcmp(t->bands.item[1], "z") == 0);
}

static void overrides_go_through_the_same_checks(void)
{
    fails_with("train:\n  steps: 50\n  lr: x\n",
               SET("train.stpes=3", "train.schedule=linear", "rn.output=x", "train.mask.fraction=2", "steps=4",
                   "train.=4", "train.grid=[1", "train.steps=", "train..lr=1", "train.bands=[g, {a: b}]"),
               PARTS("11 mistakes in run.yaml\n  run.yaml:3:7: lr: expected a finite number, found 'x'\n",
                     "--set train.stpes=3: unknown key 'stpes', did you mean 'steps'?",
                     "--set train.schedule=linear: schedule: 'linear' is not one of: cosine, constant",
                     "--set rn.output=x: unknown section 'rn', did you mean 'run'?",
                     "--set train.mask.fraction=2: fraction: 2 is out of range (0 .. 0.9)",
                     "--set steps=4: expected section.key=value", "--set train.=4: expected section.key=value",
                     "--set train..lr=1: expected section.key=value", "--set train.steps=: steps: no value",
                     "--set train.grid=[1: did not find expected ',' or ']'",
                     "--set train.bands=[g, {a: b}]: bands: expected"));
    fails_with("train:\n  steps: 50\n", SET("train.name=\xff"), ONE("--set train.name=\xff: not UTF-8 text"));
    fails_with("train: 7\n", SET("train.steps=50"), ONE("run.yaml:1:8: train: expected keys below it"));
}

static void an_overridden_value_is_no_longer_the_files(void)
{
    const TrainConfig *t = train("train:\n  steps: many\n", SET("train.steps=50"));
    CU_ASSERT_EQUAL(t->steps, 50);
}

static void an_override_of_kind_switches_the_plugin(void)
{
    const char *file = "train:\n  steps: 50\n  encoder: {kind: vit, depth: 12, root: /r}\n";
    const TrainConfig *t = train(file, SET("train.encoder.kind=cnn", "train.encoder.weights=w"));
    CU_ASSERT_PTR_EQUAL(t->encoder.plugin, &cnn);
    CU_ASSERT_STRING_EQUAL(((const CnnConfig *)t->encoder.config)->weights, "w");
    t = train("train: {steps: 50}", SET("train.encoder.weights=w", "train.encoder.kind=cnn"));
    CU_ASSERT_PTR_EQUAL(t->encoder.plugin, &cnn);
    /* typing errors stay errors; so do keys of the other kind on the command line */
    fails_with("train:\n  steps: 50\n  encoder: {kind: vit, dept: 12}\n",
               SET("train.encoder.kind=cnn", "train.encoder.weights=w", "train.encoder.depth=3"),
               PARTS("2 mistakes", "unknown key 'dept'", "--set train.encoder.depth=3: unknown key 'depth'"));
}

/* ---- the way back ---- */

static const char *fingerprint(void)
{
    static Fingerprint f;
    HashState *h = hash_open();
    config_hash(h, config, &train_section);
    f = hash_close(h);
    return f.text;
}

static void same_values(const TrainConfig *a, const TrainConfig *b)
{
    CU_ASSERT(a->steps == b->steps && memcmp(&a->lr, &b->lr, sizeof a->lr) == 0 && a->shuffle == b->shuffle);
    CU_ASSERT(a->schedule == b->schedule && a->bands.n == b->bands.n && a->grid.n == b->grid.n);
    CU_ASSERT_STRING_EQUAL(a->name, b->name);
    for (int64_t i = 0; i < a->bands.n && i < b->bands.n; i++)
        CU_ASSERT_STRING_EQUAL(a->bands.item[i], b->bands.item[i]);
    CU_ASSERT_EQUAL(memcmp(a->grid.item, b->grid.item, (size_t)a->grid.n * sizeof(double)), 0);
    CU_ASSERT(a->mask.width == b->mask.width && a->mask.fraction == b->mask.fraction);
    CU_ASSERT_PTR_EQUAL(a->encoder.plugin, b->encoder.plugin);
}

static void round_trip(const char *file, const char *const *set)
{
    const TrainConfig *before = train(file, set);
    const char *output = ((const RunSection *)config_get(config, &run_section_here))->output;
    char print[FINGERPRINT_TEXT];
    strcpy(print, fingerprint());
    for (int help = 0; help < 2; help++) {
        char *dump, *again;
        CHECK_OK(parse_set(file, set));
        CHECK_OK(config_dump(&dump, config, help, &test_arena));
        const TrainConfig *after = train(dump, NULL);
        same_values(before, after);
        CU_ASSERT_STRING_EQUAL(output, ((const RunSection *)config_get(config, &run_section_here))->output);
        CU_ASSERT_STRING_EQUAL(print, fingerprint());
        CHECK_OK(config_dump(&again, config, help, &test_arena));
        CU_ASSERT_STRING_EQUAL(dump, again);
    }
}

static void a_dump_reads_back_to_the_same_values(void)
{
    round_trip("", NULL);
    round_trip("train: {steps: 100, encoder: {kind: cnn, weights: w}}\n", NULL);
    round_trip("train: {steps: 100, bands: [], grid: []}\n", SET("run.output="));
    round_trip("train: {steps: 100, bands: z, grid: [0.1, 1e-300, 333333.33333333331, -0.0, 1e5], lr: "
               "0.1234567890123456789}\n",
               NULL);
    static const char *const texts[] = {"true",       "null",     "~",
                                        "12",         "a b",      " a ",
                                        "a: b",       "#x",       "x #y",
                                        "*a",         "&a",       "!t",
                                        "it's",       "\\\"q",    "-",
                                        "[a]",        "{a}",      "Ωmega é",
                                        "on",         "a\\nb",    "a\\r\\n\\tb",
                                        "\\u0085",    "\\u2028x", "\\U0001F30C",
                                        "\\uFEFF",    "\\x01",    "%a",
                                        "@a",         "`a",       "a,b",
                                        "?",          "---",      "../shared/data",
                                        "/a/b-c_d.e", "C:\\\\x",  "''"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char set[100], also[100];
        snprintf(set, sizeof set, "train.name=\"%s\"", texts[i]);
        snprintf(also, sizeof also, "run.output=\"%s\"", texts[i]);
        round_trip("train: {steps: 100}", SET(set, also));
    }
}

static void random_reals_read_back_to_the_same_bits(void)
{
    Rng r = rng_stream(1, "reals", 0, 0);
    for (int trial = 0; trial < 20; trial++) {
        char text[4000] = "train:\n  steps: 100\n  grid: [0";
        for (int i = 0; i < 40; i++) sprintf(text + strlen(text), ", %.17g", exp(13 * rng_uniform(&r) - 300 * (i % 2)));
        strcat(text, "]\n");
        round_trip(text, NULL);
    }
}

static void a_dump_is_plain_to_read(void)
{
    char *dump;
    (void)train("train: {steps: 100, lr: 1e-3}\nrun: {output: out}\n", NULL);
    CHECK_OK(config_dump(&dump, config, false, &test_arena));
    CU_ASSERT_STRING_EQUAL(dump,
                           "run:\n  output: out\n  ranks: 2\n\n"
                           "train:\n  steps: 100\n  lr: 0.001\n  shuffle: true\n  name: \"\"\n  schedule: cosine\n"
                           "  bands: [g, r, z]\n  grid: [0.5, 1000]\n  mask:\n    fraction: 0.3\n    width: 30\n"
                           "  encoder:\n    kind: vit\n    depth: 24\n    root: \"\"\n");
}

static void the_reference_shows_every_key_kind_and_range(void)
{
    char *text;
    CHECK_OK(config_reference(&text, sections, &test_arena));
    static const char *const parts[] = {"# the whole run\nrun:\n",
                                        "  # steps: (required)",
                                        "# optimiser steps; 1 .. 1000000000",
                                        "  lr: 0.0001",
                                        "# peak learning rate; 0 .. 1",
                                        "# learning-rate schedule; one of: cosine, constant",
                                        "# bands used; any of: g, r, z",
                                        "    kind: vit",
                                        "    depth: 24",
                                        "    # kind: cnn",
                                        "    # dropout: 0.1",
                                        "    # weights: (required)",
                                        "# the network; kinds: vit, cnn"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!strstr(text, parts[i])) printf("missing in the reference: %s\n%s\n", parts[i], text);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, parts[i]));
    }
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) CU_ASSERT(strcspn(line, "\n") <= 120);
    const TrainConfig *t = train(text, SET("train.steps=100")); /* the required key is all that it lacks */
    CU_ASSERT(t->lr == 1e-4 && t->encoder.plugin == &vit);
}

static void a_description_has_every_key_with_its_default(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    config_describe(out, &train_section);
    fclose(out);
    static const char *const parts[] = {
        "train: the optimiser\n",  "train.steps ",           "(required)",           "1e-4", "train.mask.width",
        "train.encoder.kind=vit ", "train.encoder.kind=cnn", "train.encoder.dropout"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) CU_ASSERT_PTR_NOT_NULL(strstr(text, parts[i]));
    free(text);
}

static void the_hash_follows_results_and_not_effort(void)
{
    const char *file = "train: {steps: 100}";
    char base[FINGERPRINT_TEXT];
    (void)train(file, NULL);
    strcpy(base, fingerprint());
    static const char *const effort[] = {"train.name=x", "train.encoder.root=/r", "train.steps=100", "train.lr=0.00010",
                                         "run.ranks=9"};
    for (size_t i = 0; i < sizeof effort / sizeof effort[0]; i++) {
        (void)train(file, SET(effort[i]));
        CU_ASSERT_STRING_EQUAL(fingerprint(), base);
    }
    static const char *const result[] = {"train.steps=101",         "train.lr=0.0002",       "train.shuffle=false",
                                         "train.schedule=constant", "train.bands=[g, r]",    "train.grid=[0.5]",
                                         "train.mask.width=31",     "train.encoder.depth=26"};
    for (size_t i = 0; i < sizeof result / sizeof result[0]; i++) {
        (void)train(file, SET(result[i]));
        CU_ASSERT_STRING_NOT_EQUAL(fingerprint(), base);
    }
    (void)train(file, SET("train.encoder.kind=cnn", "train.encoder.weights=w"));
    CU_ASSERT_STRING_NOT_EQUAL(fingerprint(), base);
}

/* ---- broken files ---- */

/* Bytes of a good file replaced, removed, doubled: any answer but a crash; what is read must dump and read back. */
static void broken_files_are_answered(void)
{
    static const char good[] =
        "run:\n  output: \"a b\"\n  ranks: 4\ntrain:\n  steps: 100\n  bands: [g, r]\n  grid:\n    - 1\n    - 2.5\n"
        "  mask: {fraction: 0.5}\n  encoder:\n    kind: cnn\n    weights: 'x'\n";
    static const char spice[] = "{}[]:,-\"'&*!#|>?%@\n\t \\a1\xff\xc3";
    Rng r = rng_stream(2, "broken", 0, 0);
    int passed = 0;
    for (int trial = 0; trial < 1000; trial++) {
        Mark mark = arena_mark(&test_arena);
        char text[sizeof good + 8];
        strcpy(text, good);
        int64_t length = sizeof good - 1;
        for (int64_t change = 1 + rng_below(&r, 3); change > 0; change--) {
            int64_t at = rng_below(&r, length);
            if (rng_below(&r, 2))
                text[at] = spice[rng_below(&r, sizeof spice - 1)];
            else
                memmove(text + at, text + at + 1, (size_t)(length-- - at));
        }
        Status st = config_parse(&config, "run.yaml", text, (size_t)length, NULL, 0, sections, NULL, &test_arena);
        CU_ASSERT(st == OK || st == E_CONFIG);
        if (st == OK) {
            char *dump;
            passed++;
            CHECK_OK(config_dump(&dump, config, true, &test_arena));
            CHECK_OK(parse_set(dump, NULL));
        }
        fail_clear();
        arena_reset(&test_arena, mark);
    }
    CU_ASSERT(passed > 10 && passed < 900); /* both ways are taken */
}

TEST_MAIN("config", {"an empty file gives the defaults", an_empty_file_gives_the_defaults},
          {"every type of field is read", every_type_of_field_is_read},
          {"all mistakes come at once, in the order of the file", all_mistakes_come_at_once_in_the_order_of_the_file},
          {"wrong values are named with their place", wrong_values_are_named},
          {"what YAML offers beyond flat text is refused", what_yaml_offers_beyond_flat_text_is_refused},
          {"twenty mistakes are shown and the rest counted", twenty_are_shown_and_the_rest_counted},
          {"very long names are cut in messages", very_long_names_are_cut_in_messages},
          {"required keys are asked for where the section appears or is needed",
           required_keys_are_asked_for_where_the_section_appears_or_is_needed},
          {"checks run on good sections only and join the list", checks_run_on_good_sections_only_and_join_the_list},
          {"overrides win, and the last wins most", overrides_win_and_the_last_wins_most},
          {"overrides go through the same checks", overrides_go_through_the_same_checks},
          {"an overridden value is no longer the file's", an_overridden_value_is_no_longer_the_files},
          {"an override of kind switches the plugin", an_override_of_kind_switches_the_plugin},
          {"a dump reads back to the same values", a_dump_reads_back_to_the_same_values},
          {"random reals read back to the same bits", random_reals_read_back_to_the_same_bits},
          {"a dump is plain to read", a_dump_is_plain_to_read},
          {"the reference shows every key, kind and range", the_reference_shows_every_key_kind_and_range},
          {"a description has every key with its default", a_description_has_every_key_with_its_default},
          {"the hash follows results and not effort", the_hash_follows_results_and_not_effort},
          {"broken files are answered, not crashed on", broken_files_are_answered})
