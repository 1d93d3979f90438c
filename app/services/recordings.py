"""Which files are taken for recordings where a whole folder is given."""

ENDINGS = frozenset(
    (
        "3gp aac ac3 aif aiff amr ape avi caf dss flac flv m2ts m4a m4b m4v mka mkv mov mp2 mp3 "
        "mp4 mpeg mpg mts oga ogg ogv opus ra rm spx ts tta vob voc wav weba webm wma wmv wv"
    ).split()
)
"""Of their names. What browsers and downloaders write has other endings until it is whole."""
