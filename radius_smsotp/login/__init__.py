"""A login: what is asked, what is known, what the rules decide, what follows from it."""
