"""The gateway: answers callers now, obeys the route, counts and logs every answer."""
