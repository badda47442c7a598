"""The pages and sockets as a person, a browser or a stranger meets them, each test against a real `flask run`."""
