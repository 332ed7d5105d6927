"""/api/v1: routes, models, the OpenAPI document."""
