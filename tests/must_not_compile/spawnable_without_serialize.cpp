// expect: a class derived from SpawnableProcess that has members needs serialize
#include <multiprocessing/process.hpp>

class Worker : public multiprocessing::SpawnableProcess<Worker> {
    int number_ = 1;
    void run() override { multiprocessing::exit(number_); }
#if defined(CORRECT)
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& number_;
    }
#endif
};

int main() {
    multiprocessing::freeze_support();
    Worker worker;
    worker.start();
}
