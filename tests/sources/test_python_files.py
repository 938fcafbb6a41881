from __future__ import annotations

import pytest
import skops.io

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.python_files import load_skops, refuse_untrusted


def test_a_type_that_the_survey_missed(files, monkeypatch):
    """Should the list of unknown types ever be incomplete, skops' own audit still refuses."""
    from sklearn.ensemble import RandomForestClassifier

    data = skops.io.dumps(RandomForestClassifier(1).fit([[0], [1]], [0, 1]))
    monkeypatch.setattr(skops.io, "get_untrusted_types", lambda *, data: [])
    with pytest.raises(SourceError, match=r"not trusted: (.|\n)*sklearn\.tree\._tree\.Tree"):
        load_skops(data, files / "m.skops", [])


def test_refuse_untrusted(tmp_path):
    refuse_untrusted(tmp_path, "it", trust=True)
    with pytest.raises(SourceError, match="it can run any code"):
        refuse_untrusted(tmp_path, "it", trust=False)
