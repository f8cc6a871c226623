# `wen` with its locked packages. Build it here, then run a study in the folder that is mounted as /study:
#   docker build --tag wen .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/study" wen init my-study
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD/my-study:/study" wen doctor
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD/my-study:/study" --entrypoint dvc wen repro
# With an NVIDIA GPU and its container toolkit, add --gpus all.
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*'
COPY . /tmp/wen
RUN pip install --no-cache-dir --constraint /tmp/wen/constraints.txt '/tmp/wen[cluster,s3]' && rm -rf /tmp/wen
# Any user may run it: what libraries keep for themselves goes where everyone can write, and DVC needs a user's name.
ENV HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib USER=wen
WORKDIR /study
ENTRYPOINT ["wen"]
CMD ["--help"]
