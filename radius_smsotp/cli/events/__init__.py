"""``smsotp events``: what happened to everybody, and on to where others keep such things."""
