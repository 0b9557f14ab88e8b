# make demo and make test do everything on a machine with Python 3.10 to 3.13, its headers and g++.
PYTHON ?= python3
VENV ?= .venv
override VENV := $(abspath $(VENV))
PY := $(VENV)/bin/python
S3E := $(VENV)/bin/s3e-gnn
EXTRAS := simulation,index,training,ros,build,dev
BUILD := $(VENV)/build/s3e_gnn_ros
INTERFACES := $(VENV)/lib/s3e_gnn_ros/interfaces
MINKOWSKI := $(VENV)/minkowski
DEMO := out/demo
# Processes that run tests beside one another; 0: none, for a debugger.
WORKERS ?= 2
# A recorded pose graph for `make bench`, where there is one.
G2O ?= $(wildcard ../shared/data/pose_graphs/parking-garage.g2o)

# A sourced ROS install must not mix with the wheels of the environment.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH
unexport PYTHONHOME VIRTUAL_ENV _ROS_WHEELS_BOOTSTRAP_COMPLETE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: help env demo test test-minkowski lint format bench config clean distclean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r name text; do printf 'make %-14s %s\n' "$$name" "$$text"; done

env: $(VENV)/.interfaces.stamp  ## set up .venv with all packages and the compiled messages

demo: env $(DEMO)/recording/metadata.yaml  ## render a recording, run the live ROS graph, write the report
	$(S3E) replay $(DEMO)/recording --live --out $(DEMO)/report

# A worker that crashed is not replaced: xdist 3.8 may then wait for ever, instead of failing.
test: env  ## run the whole test suite; options: make test ARGS='-k camera' WORKERS=0
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  --max-worker-restart 0 $(ARGS)

test-minkowski: $(MINKOWSKI)/.stamp  ## build MinkowskiEngine and compare the SparseConv encoder with it
	@$(MINKOWSKI)/bin/python -c 'from s3e_gnn_ros.encoder import minkowski; minkowski.import_minkowski()'
	$(MINKOWSKI)/bin/python -m pytest test/encoder/test_minkowski.py $(ARGS)

lint: env  ## check format, style and types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: env  ## bring the sources into the house format
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

# Poses of made-up pose graphs; 10000 takes many minutes.
POSE_GRAPHS ?= 100 1000

bench: env  ## print run time and memory of each stage
	$(S3E) bench --pose-graphs $(POSE_GRAPHS) $(G2O:%=--g2o %) $(ARGS)

config: env  ## write config/default.yaml and docs/parameters.md anew after a change of the defaults
	$(S3E) config > config/default.yaml.new
	mv config/default.yaml.new config/default.yaml
	$(S3E) config --page > docs/parameters.md.new
	mv docs/parameters.md.new docs/parameters.md

clean:  ## remove what was generated, but not the environment
	rm -rf build install log out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path $(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean  ## remove the environment as well
	rm -rf $(VENV) s3e_gnn_ros.egg-info

# The bag's metadata is written last: without it the rendering was interrupted.
$(DEMO)/recording/metadata.yaml: | env
	rm -rf $(@D)
	$(S3E) simulate --out $(@D) --image-transport compressed

$(VENV)/.python.stamp: setup.cfg constraints.txt scripts/prepare_ros_wheels.py
	@scripts/check_machine '$(PYTHON)' '$(CXX)'
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	@echo 'Installing Python packages into $(VENV) (some minutes) ...'
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	@$(PY) scripts/prepare_ros_wheels.py
	@touch $@

# An environment of its own: MinkowskiEngine builds with an old setuptools and an old numpy.
$(MINKOWSKI)/.stamp: scripts/build_minkowski
	@scripts/check_machine '$(PYTHON)' '$(CXX)'
	@CXX='$(CXX)' scripts/build_minkowski '$(PYTHON)' '$(MINKOWSKI)'
	@touch $@

# The wheels make the environment a ROS prefix: <venv>/lib is on their library path, <venv>/share
# holds their index. Our messages go into the same prefix, so that nothing has to be sourced,
# neither by a shell nor by a child process. Their Python part stays off sys.path, where it
# would hide the package of the same name; s3e_gnn_ros.pkg is how pkgutil.extend_path finds it.
$(VENV)/.interfaces.stamp: $(VENV)/.python.stamp CMakeLists.txt package.xml $(wildcard msg/*.msg srv/*.srv)
	@echo 'Compiling the ROS messages (about a minute) ...'
	@rm -rf $(INTERFACES)
	@PATH="$(VENV)/bin:$$PATH" cmake -S . -B $(BUILD) -DINTERFACES_ONLY=ON -DBUILD_TESTING=OFF \
	  -DCMAKE_PREFIX_PATH=$(VENV) -DCMAKE_INSTALL_PREFIX=$(VENV) -DPython3_EXECUTABLE=$(PY) \
	  -DPYTHON_INSTALL_DIR=$(INTERFACES:$(VENV)/%=%) > $(VENV)/interfaces.log 2>&1 \
	&& PATH="$(VENV)/bin:$$PATH" cmake --build $(BUILD) --parallel >> $(VENV)/interfaces.log 2>&1 \
	&& PATH="$(VENV)/bin:$$PATH" cmake --install $(BUILD) >> $(VENV)/interfaces.log 2>&1 \
	|| { tail -n 30 $(VENV)/interfaces.log; exit 1; }
	@echo '$(INTERFACES)/s3e_gnn_ros' > "$$($(PY) -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/s3e_gnn_ros.pkg"
	@$(PY) -c 'from s3e_gnn_ros.msg import KeyFrame'
	@touch $@
