// Loads a SavedModel and runs it the way tensorflow_model_server does: LoadSavedModel with the tag
// "serve", Session::Run on the names of the signature, XLA compilation switched off.
//
// Usage: serve SAVED_MODEL SIGNATURE OPS_LIBRARIES INPUT=TEXT[,TEXT...] ...
//   OPS_LIBRARIES: paths separated by ':'. TEXT: hexadecimal bytes, "-" for an empty text; with
//   INPUT=!TEXT the tensor is a scalar.
// Prints one line per output and row: NAME ROW VALUE..., floats as hexadecimal (exact).

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/public/session_options.h"

namespace tensorflow {
// compiler/jit/flags.h is not among the wheel's headers. The server's main calls this.
void DisableXlaCompilation();
}  // namespace tensorflow

namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  if (hex == "-") return bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

tensorflow::Tensor TextTensor(const std::string& list) {
  if (list[0] == '!') {
    tensorflow::Tensor scalar(tensorflow::DT_STRING, tensorflow::TensorShape({}));
    scalar.scalar<tensorflow::tstring>()() = FromHex(list.substr(1));
    return scalar;
  }
  const std::vector<std::string> texts = Split(list, ',');
  tensorflow::Tensor tensor(tensorflow::DT_STRING,
                            tensorflow::TensorShape({static_cast<int64_t>(texts.size())}));
  for (size_t i = 0; i < texts.size(); ++i) tensor.vec<tensorflow::tstring>()(i) = FromHex(texts[i]);
  return tensor;
}

void Print(const std::string& name, const tensorflow::Tensor& tensor) {
  const int64_t rows = tensor.dim_size(0);
  for (int64_t row = 0; row < rows; ++row) {
    std::cout << name << " " << row;
    const int64_t columns = tensor.NumElements() / rows;
    for (int64_t i = row * columns; i < (row + 1) * columns; ++i) {
      if (tensor.dtype() == tensorflow::DT_STRING) {
        std::cout << " " << std::string(tensor.flat<tensorflow::tstring>()(i));
      } else {
        char number[64];
        std::snprintf(number, sizeof(number), "%a", tensor.flat<float>()(i));
        std::cout << " " << number;
      }
    }
    std::cout << "\n";
  }
}

int Fail(const std::string& what, const absl::Status& status) {
  std::cerr << what << ": " << status << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  for (const std::string& library : Split(argv[3], ':')) {
    void* handle;
    const absl::Status status = tensorflow::Env::Default()->LoadDynamicLibrary(library.c_str(), &handle);
    if (!status.ok()) return Fail(library, status);
  }
  tensorflow::DisableXlaCompilation();

  tensorflow::SavedModelBundle bundle;
  absl::Status status = tensorflow::LoadSavedModel(tensorflow::SessionOptions(),
                                                   tensorflow::RunOptions(), argv[1], {"serve"}, &bundle);
  if (!status.ok()) return Fail("LoadSavedModel", status);
  const auto& signature = bundle.GetSignatures().at(argv[2]);

  std::vector<std::pair<std::string, tensorflow::Tensor>> inputs;
  for (int i = 4; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    inputs.emplace_back(signature.inputs().at(argument.substr(0, equals)).name(),
                        TextTensor(argument.substr(equals + 1)));
  }
  std::vector<std::string> names, tensor_names;
  for (const auto& output : signature.outputs()) {
    names.push_back(output.first);
    tensor_names.push_back(output.second.name());
  }
  std::vector<tensorflow::Tensor> outputs;
  status = bundle.GetSession()->Run(inputs, tensor_names, {}, &outputs);
  if (!status.ok()) return Fail("Session::Run", status);
  for (size_t i = 0; i < names.size(); ++i) Print(names[i], outputs[i]);
  return 0;
}
