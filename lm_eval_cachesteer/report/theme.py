"""The colours of page and plots, light and dark."""

# Role -> (light, dark). Plots are drawn in the light ones; the page swaps them.
PALETTE = {
    "paper": ("#ffffff", "#14181c"),
    "raised": ("#f5f7f8", "#1c2227"),
    "ink": ("#1b2126", "#e4e8eb"),
    "muted": ("#5a6670", "#9aa7b1"),
    "line": ("#dde2e6", "#323b43"),
    "accent": ("#0a6c8e", "#5cbbdd"),
    "tint": ("#dff0f6", "#16394a"),
    "heat": ("#6cb4cf", "#1f6f90"),
    "worse": ("#a8480a", "#eda169"),
    "worse-tint": ("#fbe9dd", "#452a19"),
}
LIGHT = {role: light for role, (light, _) in PALETTE.items()}
DARK = {role: dark for role, (_, dark) in PALETTE.items()}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def variables(colors: dict[str, str]) -> str:
    """The colours as custom properties of CSS."""
    return " ".join(f"--{role}: {color};" for role, color in colors.items())
