# The two commands of the README, and what they need. VENV=dir chooses another virtual environment.
VENV ?= .venv
PYTHON ?= python3
INSTALLED = $(VENV)/.installed

.PHONY: guide test lint clean

guide: $(INSTALLED)
	$(VENV)/bin/starlatch guide --duration 2m

test: $(INSTALLED)
	$(VENV)/bin/pytest -n 2

lint: $(INSTALLED)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[plot,test]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
