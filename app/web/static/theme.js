// Before the page is drawn: the theme that somebody has chosen in the menu. Without one, the system's.
const theme = localStorage.getItem("whisperbox.theme");
if (theme) document.documentElement.dataset.theme = theme;
