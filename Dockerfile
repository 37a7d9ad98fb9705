# colorcli in a container: docker build -t colorcli . ; docker run --rm -v "$PWD:/data" colorcli run scan.tif -o out/
# With an NVIDIA GPU: docker build --target cuda -t colorcli-cuda . ; docker run --gpus all ...
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY colorcli colorcli
COPY engines engines
COPY train train
COPY docs/colorcli.1 docs/colorcli.1
COPY completions completions
RUN pip wheel --no-deps --wheel-dir /wheels .

FROM python:3.12-slim AS cuda
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[heic,raw,pdf]" \
    && pip uninstall --yes onnxruntime \
    && pip install --no-cache-dir "onnxruntime-gpu[cuda,cudnn]"
WORKDIR /data
ENTRYPOINT ["colorcli"]

# The last stage is the default one.
FROM python:3.12-slim AS cpu
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[heic,raw,pdf]"
WORKDIR /data
ENTRYPOINT ["colorcli"]
