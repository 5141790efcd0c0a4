from medseg_tf.lesson.seeds import over_seeds

ROWS = [
    {"set": "A", "arm": "Otsu", "seed": 0, "dice": 0.5},
    {"set": "A", "arm": "net", "seed": 0, "minutes": 1.0, "dice": 0.7, "seg": 0.2},
    {"set": "A", "arm": "net", "seed": 1, "minutes": 2.0, "dice": 0.9, "seg": 0.4},
    {"set": "B", "arm": "net", "seed": 0, "minutes": 3.0, "dice": 0.1},
]


def test_mean_and_standard_deviation_over_seeds():
    table = over_seeds({"rows": ROWS}, ["dice", "seg"], set="A", arm="net")
    assert table == [
        {
            "set": "A",
            "arm": "net",
            "seeds": 2,
            "minutes": "1.5 ± 0.7",
            "dice": "0.800 ± 0.141",
            "seg": "0.300 ± 0.141",
        }
    ]


def test_a_score_that_was_not_measured_is_none():
    rows = over_seeds({"rows": ROWS}, ["dice", "seg"], arm=["Otsu", "net"])
    assert [(row["set"], row["arm"], row["seg"] is None) for row in rows] == [
        ("A", "Otsu", True),
        ("A", "net", False),
        ("B", "net", True),
    ]
