"""Scripts that are written without spaces between words, as ranges of a regular expression."""

from __future__ import annotations

# Kana, Han with its compatibility forms and further planes.
CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Thai and Lao, Burmese, Khmer; and those.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff" + CJK
