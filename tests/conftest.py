pytest_plugins = ["tests.lens_report", "pytester"]
