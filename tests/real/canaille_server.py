"""Runs Canaille in memory: canaille_server.py PORT SECONDS, with the lifetime of access tokens in seconds."""

import sys

from canaille import create_app
from canaille.app import models

port, lifetime = map(int, sys.argv[1:])
app = create_app(
    {
        "SECRET_KEY": "of this run only",
        "SERVER_NAME": f"localhost:{port}",
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory"},
        "CANAILLE_OIDC": {"DYNAMIC_CLIENT_REGISTRATION_OPEN": True},
        "OAUTH2_TOKEN_EXPIRES_IN": {"authorization_code": lifetime, "refresh_token": lifetime},
    }
)
with app.app_context():
    ada = models.User(user_name="ada", password="correct horse 9", emails=["ada@example.test"])
    ada.formatted_name, ada.family_name = "Ada Lovelace", "Lovelace"
    app.backend.save(ada)
app.run("127.0.0.1", port, threaded=True)
